import { queryOptions } from "@tanstack/react-query";
import { api, path } from "@/api/client";
import type { TemplateDraft, TemplateVersion } from "@/api/types";

export const templateVersionsQuery = queryOptions({
  queryKey: ["templates", "versions"],
  queryFn: ({ signal }) => api.get<TemplateVersion[]>("/templates/versions", { signal }),
});

export const templateCalls = {
  draft: (code: string, draft: TemplateDraft) => api.put<TemplateVersion>(path`/templates/${code}/draft`, draft),
  discard: (code: string) => api.delete(path`/templates/${code}/draft`),
  approve: (code: string, rev: number) => api.post<TemplateVersion>(path`/templates/${code}/approve`, { rev }),
  retire: (code: string) => api.post(path`/templates/${code}/retire`),
};

/** One template with its versions, the newest first. */
export interface Versions {
  readonly code: string;
  readonly newest: TemplateVersion;
  readonly draft: TemplateVersion | null;
  readonly approved: TemplateVersion | null;
  readonly all: readonly TemplateVersion[];
}

export function byCode(versions: readonly TemplateVersion[]): Versions[] {
  const groups = new Map<string, TemplateVersion[]>();
  for (const version of versions) groups.set(version.code, [...(groups.get(version.code) ?? []), version]);
  return [...groups].flatMap(([code, found]) => {
    const all = found.sort((a, b) => b.version - a.version);
    const [newest] = all;
    if (newest === undefined) return [];
    return [
      {
        code,
        newest,
        all,
        draft: all.find(({ state }) => state === "draft") ?? null,
        approved: all.find(({ state }) => state === "approved") ?? null,
      },
    ];
  });
}

/** What a report notes of its template. */
export function templateNote(template: { code: string; version: number }): string {
  return `${template.code}@${template.version}`;
}

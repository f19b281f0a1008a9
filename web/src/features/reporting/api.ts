import { queryOptions } from "@tanstack/react-query";
import { api, path } from "@/api/client";
import type { NewShare, Page, Report, ReportDiff, ReportTemplate, Share } from "@/api/types";
import type { Text } from "./draft";

/** Lists come as pages or, for short ones, as plain arrays. */
function items<T>(answer: Page<T> | T[]): T[] {
  return Array.isArray(answer) ? answer : answer.items;
}

export const templatesQuery = (modality: string, bodyPart: string) =>
  queryOptions({
    queryKey: ["templates", modality, bodyPart],
    queryFn: async ({ signal }) =>
      items(
        await api.get<Page<ReportTemplate> | ReportTemplate[]>("/templates", {
          query: { modality, body_part: bodyPart },
          signal,
        }),
      ),
    staleTime: 10 * 60_000,
  });

export const sharesQuery = (orderId: string) =>
  queryOptions({
    queryKey: ["shares", orderId],
    queryFn: async ({ signal }) =>
      items(await api.get<Page<Share> | Share[]>(path`/orders/${orderId}/shares`, { signal })),
  });

/** Versions never change; the working text does, so its revision belongs to the key. */
export const diffQuery = (reportId: string, from: number, to: number, rev: number) =>
  queryOptions({
    queryKey: ["report", reportId, "diff", from, to, to === 0 ? rev : null],
    queryFn: ({ signal }) => api.get<ReportDiff>(path`/reports/${reportId}/diff`, { query: { from, to }, signal }),
    staleTime: Infinity,
  });

export const reports = {
  open: (orderId: string) => api.post<Report>(path`/orders/${orderId}/report`),
  /** Takes the case from the reader who holds it; the server records that. */
  takeOver: (orderId: string) =>
    api.post<Report>(path`/orders/${orderId}/report`, undefined, { query: { take_over: true } }),
  /** Lets the case go, so that others may work on it. */
  release: (orderId: string) => api.delete(path`/orders/${orderId}/reading`),
  read: (id: string) => api.get<Report>(path`/reports/${id}`),
  save: (id: string, text: Text, rev: number, template?: string) =>
    api.put<Report>(path`/reports/${id}/draft`, { ...text, rev, ...(template === undefined ? {} : { template }) }),
  submit: (id: string, rev: number) => api.post<Report>(path`/reports/${id}/submit`, { rev }),
  audit: (id: string, rev: number, reason: string | null) =>
    api.post<Report>(path`/reports/${id}/audit`, { rev, ...(reason === null ? {} : { override_reason: reason }) }),
  reject: (id: string, opinion: string) => api.post<Report>(path`/reports/${id}/reject`, { opinion }),
};

export const shares = {
  create: (orderId: string, validDays: number, images: boolean) =>
    api.post<NewShare>(path`/orders/${orderId}/shares`, { valid_days: validDays, images }),
  revoke: (id: string) => api.delete(path`/shares/${id}`),
};

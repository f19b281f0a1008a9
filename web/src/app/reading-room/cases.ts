import { queryOptions, type QueryClient } from "@tanstack/react-query";
import { api, path } from "@/api/client";
import type { Page, ReadingRow, Study } from "@/api/types";
import { dayOf, isDay } from "@/lib/time";
import type { SeriesRef } from "@/viewer";

/** Objects of a study that are no pictures: reports, presentation states, documents. */
const NOT_PICTURES = new Set(["SR", "PR", "DOC", "KO", "SEG", "RTSTRUCT", "RTPLAN", "REG", "AU", "ECG"]);

export function seriesOf(study: Study): SeriesRef[] {
  return study.series
    .filter((series) => !NOT_PICTURES.has(series.modality) && series.images > 0)
    .map((series) => ({
      studyUid: study.study_uid,
      seriesUid: series.series_uid,
      modality: series.modality,
      number: series.number,
      description: series.description,
      images: series.images,
    }))
    .sort((a, b) => (a.number ?? Number.MAX_SAFE_INTEGER) - (b.number ?? Number.MAX_SAFE_INTEGER));
}

export const studyQuery = (studyUid: string, enabled = true) =>
  queryOptions({
    queryKey: ["study", studyUid],
    queryFn: ({ signal }) => api.get<Study>(path`/studies/${studyUid}`, { signal }),
    enabled,
    staleTime: 60_000,
  });

/** The day of an earlier exam: an instant or already a day. */
export function priorDay(text: string): string {
  return isDay(text) ? text : dayOf(new Date(text));
}

export interface Wants {
  readonly draft: boolean;
  readonly audit: boolean;
}

/**
 * The case that a reader takes next: the most urgent one that is free, of those that the
 * reader may work on. Null when nothing is left.
 */
export function pickNext(rows: readonly ReadingRow[], current: string, wants: Wants): ReadingRow | null {
  const fits = (row: ReadingRow): boolean => {
    if (row.order_id === current || row.locked_by !== null) return false;
    // What the auditor sent back is written again, not audited.
    if (row.state === "reported") return row.report_stage === "rejected" ? wants.draft : wants.audit;
    return wants.draft && ["imaged", "completed", "redo"].includes(row.state);
  };
  return rows.find(fits) ?? null;
}

export async function nextCase(queries: QueryClient, current: string, wants: Wants): Promise<ReadingRow | null> {
  if (!wants.draft && !wants.audit) return null;
  const states = ["imaged", "completed", "redo", "reported"];
  const page = await queries.fetchQuery({
    queryKey: ["reading", "next"],
    queryFn: ({ signal }) =>
      api.get<Page<ReadingRow>>("/worklist", { query: { state: states, sort: "priority", limit: 30 }, signal }),
    staleTime: 0,
  });
  return pickNext(page.items, current, wants);
}

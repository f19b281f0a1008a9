import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, path } from "@/api/client";
import type { CaseCount, Order, Page, Patient, Reading, ReadingRow, UnmatchedStudy } from "@/api/types";

export interface ListFilter {
  state?: string | undefined;
  modality?: string | undefined;
  priority?: string | undefined;
  q?: string | undefined;
  sort: string;
}

const PAGE = 60;

export const worklistQuery = (filter: ListFilter) =>
  infiniteQueryOptions({
    queryKey: ["reading", "list", filter],
    queryFn: ({ pageParam, signal }) =>
      api.get<Page<ReadingRow>>("/worklist", {
        query: { ...filter, limit: PAGE, cursor: pageParam },
        signal,
      }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    staleTime: 5_000,
  });

/** How many cases wait, by state, modality and priority, of those that the text finds. */
export const countsQuery = (q: string | undefined) =>
  queryOptions({
    queryKey: ["reading", "counts", q ?? ""],
    queryFn: async ({ signal }) => (await api.get<Page<CaseCount>>("/worklist/counts", { query: { q }, signal })).items,
    placeholderData: (previous) => previous,
    staleTime: 5_000,
  });

export const readingQuery = (orderId: string) =>
  queryOptions({
    queryKey: ["reading", "case", orderId],
    queryFn: ({ signal }) => api.get<Reading>(path`/orders/${orderId}/reading`, { signal }),
    staleTime: 30_000,
    // A reader who goes away makes no event: a case that somebody holds is looked at again.
    refetchInterval: (query) => (query.state.data?.report?.locked_by ? 10_000 : false),
  });

export const unmatchedQuery = queryOptions({
  queryKey: ["reading", "unmatched"],
  queryFn: ({ signal }) => api.get<Page<UnmatchedStudy>>("/unmatched", { signal }),
});

/** Orders that a study could belong to: by name, identifier or accession. */
export const candidatesQuery = (q: string) =>
  queryOptions({
    queryKey: ["reading", "candidates", q],
    queryFn: ({ signal }) => api.get<Page<Order>>("/orders", { query: { q, limit: 20 }, signal }),
    enabled: q.trim() !== "",
  });

export const patientQuery = (id: string | null) =>
  queryOptions({
    queryKey: ["patients", id],
    queryFn: ({ signal }) => api.get<Patient>(path`/patients/${id ?? ""}`, { signal }),
    enabled: id !== null,
  });

export function linkStudy(studyUid: string, orderId: string): Promise<unknown> {
  return api.post(path`/unmatched/${studyUid}/link`, { order_id: orderId });
}

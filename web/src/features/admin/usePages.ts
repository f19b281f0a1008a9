import { useInfiniteQuery, type QueryKey } from "@tanstack/react-query";
import { api, type Query } from "@/api/client";
import type { Page } from "@/api/types";

/** A long list by its cursor, in the shape that `RowTable` takes. */
export function usePages<T>(queryKey: QueryKey, path: string, query: Query = {}) {
  const pages = useInfiniteQuery({
    queryKey,
    queryFn: async ({ signal, pageParam }): Promise<Page<T>> => {
      const answer = await api.get<Page<T> | T[]>(path, { query: { ...query, cursor: pageParam }, signal });
      return Array.isArray(answer) ? { items: answer, next: null } : answer;
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    placeholderData: (previous) => previous,
  });
  return {
    rows: pages.data?.pages.flatMap(({ items }) => items),
    error: pages.error,
    onRetry: () => void pages.refetch(),
    more: { has: pages.hasNextPage, loading: pages.isFetchingNextPage, load: () => void pages.fetchNextPage() },
  };
}

import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { api, path } from "@/api/client";
import type { ExamState, Order, Page } from "@/api/types";

export const orderQuery = (id: string) =>
  queryOptions({
    queryKey: ["orders", id],
    queryFn: ({ signal }) => api.get<Order>(path`/orders/${id}`, { signal }),
  });

export interface OrderFilter {
  q?: string | undefined;
  state?: readonly ExamState[] | undefined;
  modality?: string | undefined;
  from?: string | undefined;
  to?: string | undefined;
  patient_id?: string | undefined;
}

export const ordersQuery = (filter: OrderFilter, limit = 50) =>
  infiniteQueryOptions({
    queryKey: ["orders", "list", filter, limit],
    queryFn: ({ signal, pageParam }) => api.get<Page<Order>>("/orders", { query: { ...filter, limit, cursor: pageParam }, signal }),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    placeholderData: (previous) => previous,
  });

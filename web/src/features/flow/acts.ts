import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { App } from "antd";
import { useTranslation } from "react-i18next";
import { api, path } from "@/api/client";
import { useLive } from "@/api/live";
import { problemText } from "@/api/problem";
import type { QueueEntry } from "@/api/types";
import { clock } from "@/lib/time";

/**
 * The queue of one room or of all: who is still here, or who was here today. Fresh by events, and by
 * asking twice a minute in case one got lost.
 */
export function useQueue(roomId: string | null, { enabled = true, finished = false }: { enabled?: boolean; finished?: boolean } = {}) {
  useLive(["queue", "patient", "exam", "order", "appt", "study", "prep"], [["queue"]]);
  return useQuery({
    queryKey: ["queue", roomId ?? "all", finished],
    queryFn: ({ signal }) => api.list<QueueEntry>("/queue", { query: { room_id: roomId, state: finished ? ["done", "left"] : null }, signal }),
    enabled,
    refetchInterval: 30_000,
    staleTime: 2_000,
  });
}

export interface QueueActs {
  busy: boolean;
  next: (roomId: string, onCalled?: (entry: QueueEntry) => void) => void;
  act: (entry: QueueEntry, what: "call" | "enter" | "skip" | "return" | "hold" | "leave", reason?: string) => void;
  transfer: (entry: QueueEntry, to: { room_id: string; device_id: string; reason: string }) => Promise<unknown>;
}

export function useQueueActs(): QueueActs {
  const { t } = useTranslation("flow");
  const { message } = App.useApp();
  const queries = useQueryClient();
  // Keys come fast: the answer stands in the list at once, and the next key need not wait for the reload behind it.
  const show = (entry: QueueEntry) => queries.setQueriesData<QueueEntry[]>({ queryKey: ["queue"] }, (list) => list?.map((each) => (each.id === entry.id ? entry : each)));
  const refresh = () => Promise.all([queries.invalidateQueries({ queryKey: ["queue"] }), queries.invalidateQueries({ queryKey: ["orders"] })]);
  const fail = (error: unknown) => void message.error(problemText(t, error));

  const next = useMutation({
    mutationFn: (room_id: string) => api.post<QueueEntry | null>("/queue/next", { room_id }),
    onSuccess: (entry) => {
      if (entry) show(entry);
      void (entry ? message.success(t("called", { ticket: entry.ticket, time: clock(new Date()) })) : message.info(t("nobody")));
    },
    onError: fail,
    onSettled: () => void refresh(),
  });
  const act = useMutation({
    mutationFn: ({ entry, what, reason }: { entry: QueueEntry; what: string; reason?: string | undefined }) =>
      api.post<QueueEntry>(path`/queue/${entry.id}/${what}`, reason === undefined ? {} : { reason }),
    onSuccess: (answer, { entry, what }) => {
      show(answer);
      if (what === "call") void message.success(t("called", { ticket: entry.ticket, time: clock(new Date()) }));
    },
    onError: fail,
    onSettled: () => void refresh(),
  });
  return {
    busy: next.isPending || act.isPending,
    next: (roomId, onCalled) => {
      if (!next.isPending) next.mutate(roomId, { onSuccess: (entry) => entry && onCalled?.(entry) });
    },
    act: (entry, what, reason) => {
      if (!act.isPending) act.mutate({ entry, what, reason });
    },
    transfer: async (entry, to) => {
      try {
        return await api.post<QueueEntry>(path`/queue/${entry.id}/transfer`, to);
      } catch (error) {
        fail(error);
        throw error;
      } finally {
        await refresh();
      }
    },
  };
}

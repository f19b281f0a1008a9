import { useMutation, useQueryClient } from "@tanstack/react-query";
import { App } from "antd";
import { useTranslation } from "react-i18next";
import { api, path } from "@/api/client";
import { asProblem, problemText } from "@/api/problem";
import type { ExamState, Order } from "@/api/types";
import { askReason } from "@/ui/askReason";

export type ExamAct = "start" | "complete" | "discontinue" | "redo";

export function examActsFor(state: ExamState): readonly ExamAct[] {
  switch (state) {
    case "accepted":
    case "scheduled":
    case "arrived":
    case "prepared":
    case "discontinued":
      return ["start"];
    case "redo":
      return ["start", "discontinue"];
    case "in_progress":
      return ["complete", "discontinue"];
    case "imaged":
      return ["complete", "redo"];
    case "completed":
      return ["redo"];
    default:
      return [];
  }
}

export interface ExamActs {
  busy: boolean;
  run: (order: Order, act: ExamAct, deviceId?: string | null) => void;
}

/** Starting and completing are one key; what goes another way than planned needs its reason. */
export function useExamActs(): ExamActs {
  const { t } = useTranslation("exam");
  const { message, modal } = App.useApp();
  const queries = useQueryClient();
  const send = useMutation({
    mutationFn: ({ order, act, body }: { order: Order; act: ExamAct; body: Record<string, unknown> }) => api.post<Order>(path`/orders/${order.id}/${act}`, body),
    onSuccess: (order) => queries.setQueryData(["orders", order.id], order),
    onSettled: () =>
      Promise.all([
        queries.invalidateQueries({ queryKey: ["orders"] }),
        queries.invalidateQueries({ queryKey: ["queue"] }),
        queries.invalidateQueries({ queryKey: ["worklist"] }),
      ]),
  });
  const fail = (error: unknown) => void message.error(problemText(t, error));
  const ask = (order: Order, act: ExamAct) =>
    askReason(modal, t, {
      title: t(`ask.${act}`),
      ok: t(`act.${act}`),
      danger: act === "discontinue",
      suggestions: t(`suggest.${act}`).split("|"),
      act: (reason) =>
        send.mutateAsync({ order, act, body: { reason } }).catch((error: unknown) => {
          fail(error);
          throw error;
        }),
    });
  return {
    busy: send.isPending,
    run: (order, act, deviceId) => {
      if (send.isPending) return;
      if (act === "discontinue" || act === "redo") {
        ask(order, act);
        return;
      }
      send.mutate(
        { order, act, body: act === "start" && deviceId ? { device_id: deviceId } : {} },
        {
          onError: (error) => {
            // Devices without network, or lost images: completing is still possible, but must be explained.
            if (act === "complete" && asProblem(error).code === "exam.no_images") ask(order, act);
            else fail(error);
          },
        },
      );
    },
  };
}

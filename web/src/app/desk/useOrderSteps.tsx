import { PrinterOutlined } from "@ant-design/icons";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { App, Button, Modal } from "antd";
import { useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { api, path } from "@/api/client";
import { useRoomNames } from "@/api/names";
import { problemText } from "@/api/problem";
import { useSession } from "@/api/session";
import type { Order, QueueEntry } from "@/api/types";
import { ArriveForm } from "@/features/flow";
import { stepsFor, type OrderStep } from "@/features/orders";
import { BookingBoard } from "@/features/scheduling";
import { openPdf } from "@/lib/openFile";
import { itemsText } from "@/lib/items";
import { clock, stamp } from "@/lib/time";
import { askReason } from "@/ui/askReason";
import css from "./Desk.module.css";

type Open = { kind: "book" | "arrive"; order: Order } | { kind: "ticket"; order: Order; entry: QueueEntry } | null;

export interface OrderSteps {
  stepsOf: (order: Order) => readonly OrderStep[];
  run: (order: Order, step: OrderStep) => void;
  dialogs: ReactNode;
}

/** All that the desk does with an order, and the dialogs for it. One place, so that each page offers the same. */
export function useOrderSteps(): OrderSteps {
  const { t, i18n } = useTranslation("app");
  const { message, modal } = App.useApp();
  const { actions } = useSession();
  const queries = useQueryClient();
  const navigate = useNavigate();
  const { room } = useRoomNames();
  const [open, setOpen] = useState<Open>(null);

  const post = useMutation({
    mutationFn: ({ to, body }: { to: string; body?: unknown }) => api.post<unknown>(to, body),
    onSettled: () =>
      Promise.all(["orders", "queue", "slots", "appointments"].map((key) => queries.invalidateQueries({ queryKey: [key] }))),
  });
  const fail = (error: unknown) => void message.error(problemText(t, error));
  const ask = (step: "return" | "cancel" | "unbook", order: Order, to: string) =>
    askReason(modal, t, {
      title: t(`ask.${step}`, { accession: order.accession }),
      ok: t(`step.${step}`),
      danger: step === "cancel",
      suggestions: t(`suggest.${step}`).split("|"),
      act: (reason) =>
        post.mutateAsync({ to, body: { reason } }).catch((error: unknown) => {
          fail(error);
          throw error;
        }),
    });

  const run = (order: Order, step: OrderStep) => {
    const { id } = order;
    switch (step) {
      case "accept":
        post.mutate({ to: path`/orders/${id}/accept` }, { onError: fail });
        return;
      case "return":
      case "cancel":
        ask(step, order, path`/orders/${id}/${step}`);
        return;
      case "unbook":
        if (order.appointment) ask(step, order, path`/appointments/${order.appointment.id}/cancel`);
        return;
      case "book":
      case "move":
        setOpen({ kind: "book", order });
        return;
      case "arrive":
        setOpen({ kind: "arrive", order });
        return;
      case "slip":
        openPdf(path`/orders/${id}/slip`);
        return;
      case "read":
        void navigate({ to: "/reading/$orderId", params: { orderId: id } });
        return;
      case "report":
        void navigate({ to: "/orders/$orderId/report", params: { orderId: id } });
        return;
      case "images":
        void navigate({ to: "/viewer", search: { study: order.study_uid } });
        return;
      case "timeline":
        void navigate({ to: "/orders/$orderId/timeline", params: { orderId: id } });
    }
  };

  const close = () => setOpen(null);
  const title = (order: Order) => `${order.patient.name} · ${itemsText(order, i18n.language, t)}`;
  const dialogs = (
    <>
      <Modal open={open?.kind === "book"} onCancel={close} footer={null} width="min(1280px, 96vw)" destroyOnHidden title={open?.kind === "book" ? title(open.order) : undefined}>
        {open?.kind === "book" && (
          <BookingBoard
            order={open.order}
            onBooked={(appointment) => {
              void message.success(t("booked", { time: stamp(appointment.start), device: appointment.device_name }));
              close();
            }}
          />
        )}
      </Modal>
      <Modal open={open?.kind === "arrive"} onCancel={close} footer={null} destroyOnHidden title={open?.kind === "arrive" ? title(open.order) : undefined}>
        {open?.kind === "arrive" && <ArriveForm order={open.order} onCancel={close} onArrived={(entry) => setOpen({ kind: "ticket", order: open.order, entry })} />}
      </Modal>
      <Modal
        open={open?.kind === "ticket"}
        onCancel={close}
        destroyOnHidden
        title={t("ticket.title")}
        footer={
          open?.kind === "ticket" && (
            <>
              <Button icon={<PrinterOutlined />} onClick={() => openPdf(path`/orders/${open.order.id}/slip`)}>
                {t("step.slip")}
              </Button>
              <Button type="primary" autoFocus onClick={close}>
                {t("ticket.done")}
              </Button>
            </>
          )
        }
      >
        {open?.kind === "ticket" && (
          <div className={css.ticket}>
            <span className={`${css.number} num`}>{open.entry.ticket}</span>
            <span className={css.ticketName}>{open.entry.patient.name}</span>
            <span>{[room(open.entry.room_id, open.entry.room_name), open.entry.device_name].filter(Boolean).join(" · ")}</span>
            <span className={css.dim}>{t("ticket.position", { count: Math.max(0, open.entry.position - 1), time: clock(open.entry.arrived_at) })}</span>
          </div>
        )}
      </Modal>
    </>
  );
  return { stepsOf: (order) => stepsFor(order.state, actions), run, dialogs };
}

const primary: readonly OrderStep[] = ["accept", "arrive", "book", "read", "report"];

/** The steps as buttons: the next one stands out, what ends the order stands last and red. */
export function StepButtons({ order, steps, skip = [], size = "middle" }: { order: Order; steps: OrderSteps; skip?: readonly OrderStep[]; size?: "small" | "middle" }) {
  const { t } = useTranslation("app");
  const offered = steps.stepsOf(order).filter((step) => !skip.includes(step) && (step !== "images" || order.images > 0));
  const main = order.state === "accepted" && order.priority === "emergency" ? "arrive" : offered.find((step) => primary.includes(step));
  return (
    <div className={css.steps}>
      {offered.map((step) => (
        <Button key={step} size={size} type={step === main ? "primary" : "default"} danger={step === "cancel"} onClick={() => steps.run(order, step)}>
          {t(`step.${step}`)}
        </Button>
      ))}
    </div>
  );
}

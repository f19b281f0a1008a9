import { CalendarOutlined, UserAddOutlined } from "@ant-design/icons";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Button, Input } from "antd";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useLive } from "@/api/live";
import { useMay } from "@/api/session";
import type { ExamState } from "@/api/types";
import { OrderRows, ordersQuery, TodayCounts, type OrderFilter } from "@/features/orders";
import { dayBounds, longDay, today } from "@/lib/time";
import { useDebounced } from "@/lib/useDebounced";
import { useKeyHelp } from "@/lib/keyHelp";
import { useKeys } from "@/lib/useKeys";
import { Chips } from "@/ui/Chips";
import { Empty } from "@/ui/Empty";
import { PageFrame, Panel } from "@/ui/PageFrame";
import { useOrderSteps } from "./useOrderSteps";
import css from "./Desk.module.css";

type Shown = "all" | "new" | "unbooked" | "booked" | "here" | "done" | "ended";
const states: Record<Shown, readonly ExamState[] | undefined> = {
  all: undefined,
  new: ["ordered", "returned"],
  unbooked: ["accepted", "redo"],
  booked: ["scheduled"],
  here: ["arrived", "prepared", "in_progress"],
  done: ["imaged", "completed", "reported", "audited", "delivered"],
  ended: ["cancelled", "discontinued"],
};
const shownKeys: readonly Shown[] = ["all", "new", "unbooked", "booked", "here", "done", "ended"];

/** The desk's day: what came in, how far it is, and the way to the next visit. */
export function TodayPage() {
  const { t, i18n } = useTranslation("app");
  const navigate = useNavigate();
  const may = useMay();
  const steps = useOrderSteps();
  const search: { q?: string; show?: string; any?: string } = useSearch({ strict: false });
  const shown = shownKeys.find((key) => key === search.show) ?? "all";
  const anyDay = search.any === "1";
  const day = today();
  const [text, setText] = useState(search.q ?? "");
  const q = useDebounced(text.trim(), 250);
  const set = (change: Record<string, string | undefined>) => void navigate({ to: "/desk", search: (before) => ({ ...before, ...change }), replace: true });
  useEffect(() => {
    if ((search.q ?? "") !== q) void navigate({ to: "/desk", search: (before) => ({ ...before, q: q || undefined }), replace: true });
  }, [q, search.q, navigate]);

  const bounds = dayBounds(day);
  const filter: OrderFilter = { q: q || undefined, state: states[shown], ...(anyDay ? {} : bounds) };
  const orders = useInfiniteQuery(ordersQuery(filter));
  const all = useInfiniteQuery(ordersQuery(bounds, 200));
  useLive(["order", "appt", "sps", "slot", "patient", "queue", "exam", "study", "report", "result", "prep"], [["orders"]]);

  const visit = () => void navigate({ to: "/desk/visit" });
  useKeys({
    F2: (event) => {
      event.preventDefault();
      if (may("order.create", "patient.register")) visit();
    },
  });

  useKeyHelp({
    title: t("desk.title"),
    rows: [
      [["F2"], t("help.new")],
      [["↑", "↓"], t("help.row")],
      [["Enter"], t("help.open")],
      [["B"], t("help.book")],
      [["A"], t("help.arrive")],
      [["P"], t("help.slip")],
    ],
  });

  return (
    <PageFrame
      fill
      title={t("desk.title")}
      aside={longDay(day, i18n.language)}
      actions={
        <>
          <Button icon={<CalendarOutlined />} onClick={() => void navigate({ to: "/desk/calendar" })}>
            {t("desk.calendar")}
          </Button>
          {may("order.create", "patient.register") && (
            <Button type="primary" icon={<UserAddOutlined />} onClick={visit}>
              {t("desk.visit")} <kbd>F2</kbd>
            </Button>
          )}
        </>
      }
    >
      <div className={css.bar}>
        <TodayCounts orders={all.data?.pages[0]?.items} more={all.hasNextPage} />
        <div className={css.filters}>
          <Input.Search
            allowClear
            value={text}
            onChange={(event) => setText(event.target.value)}
            placeholder={t("desk.filter")}
            aria-label={t("desk.filter")}
            className={css.find}
          />
          <Chips
            label={t("desk.days")}
            value={anyDay ? "any" : "today"}
            onChange={(value) => set({ any: value === "any" ? "1" : undefined })}
            chips={[
              { value: "today", label: t("common:today") },
              { value: "any", label: t("desk.any_day") },
            ]}
          />
        </div>
      </div>
      <Chips label={t("desk.show")} value={shown} onChange={(value) => set({ show: value === "all" ? undefined : value })} chips={shownKeys.map((value) => ({ value, label: t(`desk.show.${value}`) }))} />
      <Panel flush className={css.list}>
        <OrderRows
          main
          label={t("desk.title")}
          orders={orders.data?.pages.flatMap(({ items }) => items)}
          error={orders.error}
          onRetry={() => void orders.refetch()}
          onOpen={(order) => void navigate({ to: "/orders/$orderId", params: { orderId: order.id } })}
          more={{ has: orders.hasNextPage, loading: orders.isFetchingNextPage, load: () => void orders.fetchNextPage() }}
          onRowKey={(event, order) => {
            if (event.ctrlKey || event.metaKey || event.altKey) return;
            const step = ({ b: "book", a: "arrive", p: "slip" } as const)[event.key.toLowerCase()];
            const offered = steps.stepsOf(order);
            const wanted = step === "book" && offered.includes("move") ? "move" : step;
            if (wanted === undefined || !offered.includes(wanted)) return;
            event.preventDefault();
            steps.run(order, wanted);
          }}
          empty={
            q !== "" || shown !== "all" ? (
              <Empty title={t("desk.none_found")} hint={t("desk.none_found_hint")} />
            ) : (
              <Empty title={t("desk.none")} hint={t("desk.none_hint")} action={may("order.create") ? <Button onClick={visit}>{t("desk.visit")}</Button> : undefined} />
            )
          }
        />
      </Panel>
      <p className={css.keys}>{t("desk.keys")}</p>
      {steps.dialogs}
    </PageFrame>
  );
}

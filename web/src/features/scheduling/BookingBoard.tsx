import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { App, Button, Skeleton } from "antd";
import { useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";
import { api, path } from "@/api/client";
import { useLive } from "@/api/live";
import { useRoomNames } from "@/api/names";
import { problemText } from "@/api/problem";
import type { Appointment, Order, Slot } from "@/api/types";
import { addDays, clock, longDay, today } from "@/lib/time";
import { Empty } from "@/ui/Empty";
import { Failure } from "@/ui/Failure";
import { DayStrip } from "./DayStrip";
import { byDevice, earliest, freeCount, moved, type At } from "./slots";
import css from "./Scheduling.module.css";

interface BookingBoardProps {
  order: Order;
  onBooked: (appointment: Appointment) => void;
}

/**
 * Free times for an order on every device that can do it. Times that cannot be had stay visible with
 * their reason. Arrow keys walk through what is free, Enter books, PageUp and PageDown change the day.
 */
export function BookingBoard({ order, onBooked }: BookingBoardProps) {
  const { t, i18n } = useTranslation("scheduling");
  const { message } = App.useApp();
  const queries = useQueryClient();
  const { roomOf } = useRoomNames();
  const grid = useRef<HTMLDivElement>(null);
  const board = useRef<HTMLDivElement>(null);
  const [day, setDay] = useState(today);
  const [first, setFirst] = useState(today);
  const [at, setAt] = useState<At | null>(null);

  const slots = useQuery({
    queryKey: ["slots", order.id, first, 7],
    queryFn: ({ signal }) => api.list<Slot>("/slots", { query: { order_id: order.id, from: first, days: 7 }, signal }),
    staleTime: 5_000,
  });
  useLive(["appt", "sps", "slot"], [["slots", order.id]]);

  const columns = useMemo(() => byDevice(slots.data ?? [], day), [slots.data, day]);
  const start = useMemo(() => earliest(columns), [columns]);
  const current = at !== null && columns[at.column]?.slots[at.row]?.free ? at : start;
  const chosen = current === null ? undefined : columns[current.column]?.slots[current.row];

  useEffect(() => {
    setAt(null);
  }, [day]);
  // The earliest free time has the focus, so that Enter alone books it; on a full day the keys still turn the pages.
  useEffect(() => {
    const free = start === null ? null : grid.current?.querySelector<HTMLElement>(`[data-at="${start.column}-${start.row}"]`);
    if (free) free.focus();
    else if (slots.data) board.current?.focus();
  }, [start, slots.data, day]);

  // Nobody wants to look at full days first: the board opens on the first one with a free time.
  const [opened, setOpened] = useState(false);
  if (slots.data && !opened) {
    setOpened(true);
    const next = Array.from({ length: 7 }, (_, offset) => addDays(first, offset)).find((each) => freeCount(slots.data, each) > 0);
    if (next !== undefined && next !== day) setDay(next);
  }

  const change = (next: string) => {
    setDay(next);
    if (next < first || next > addDays(first, 6)) setFirst(next);
  };

  const book = useMutation({
    mutationFn: (slot: Slot) => {
      const body = { device_id: slot.device_id, start: slot.start };
      return order.appointment && order.state === "scheduled"
        ? api.post<Appointment>(path`/appointments/${order.appointment.id}/move`, body)
        : api.post<Appointment>("/appointments", { order_id: order.id, ...body });
    },
    onSuccess: onBooked,
    onError: (error) => void message.error(problemText(t, error)),
    onSettled: () =>
      Promise.all([
        queries.invalidateQueries({ queryKey: ["slots"] }),
        queries.invalidateQueries({ queryKey: ["orders"] }),
        queries.invalidateQueries({ queryKey: ["appointments"] }),
      ]),
  });

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "PageDown") change(addDays(day, 1));
    else if (event.key === "PageUp" && day > today()) change(addDays(day, -1));
    else if (event.key.startsWith("Arrow") && current !== null) {
      const next = moved(columns, current, event.key);
      setAt(next);
      grid.current?.querySelector<HTMLElement>(`[data-at="${next.column}-${next.row}"]`)?.focus();
    } else if (event.key === "Enter" && chosen && event.target instanceof HTMLElement && event.target.dataset["at"] !== undefined) {
      if (!book.isPending) book.mutate(chosen);
    } else return;
    event.preventDefault();
  };

  return (
    <div ref={board} className={css.board} onKeyDown={onKeyDown} tabIndex={-1}>
      <DayStrip day={day} first={first} onChange={change} count={(each) => (slots.data ? freeCount(slots.data, each) : undefined)} />
      {slots.error && !slots.data ? (
        <Failure error={slots.error} onRetry={() => void slots.refetch()} />
      ) : slots.data === undefined ? (
        <Skeleton active paragraph={{ rows: 8 }} title={false} />
      ) : columns.length === 0 ? (
        <Empty title={t("board.none")} hint={t("board.none_hint")} action={<Button onClick={() => change(addDays(day, 1))}>{t("board.next_day")}</Button>} />
      ) : (
        <div ref={grid} className={css.columns} role="grid" aria-label={t("board.label", { day: longDay(day, i18n.language) })}>
          {columns.map((column, columnAt) => (
            <div key={column.device_id} className={css.column} role="row">
              <div className={css.columnHead} role="rowheader">
                <strong>{column.device_name}</strong>
                <span>{roomOf(column.device_id, column.room_name)}</span>
              </div>
              <div className={css.slots}>
                {column.slots.map((slot, row) => {
                  const on = current?.column === columnAt && current.row === row;
                  const reason = slot.free ? null : t(`refusal.${slot.reason ?? "taken"}`, { defaultValue: slot.reason ?? "" });
                  return (
                    <button
                      key={slot.start}
                      type="button"
                      role="gridcell"
                      data-at={`${columnAt}-${row}`}
                      tabIndex={on ? 0 : -1}
                      disabled={!slot.free}
                      aria-selected={on}
                      className={[css.slot, slot.free ? css.slotFree : css.slotBusy, on ? css.slotOn : ""].filter(Boolean).join(" ")}
                      onClick={() => setAt({ column: columnAt, row })}
                      onFocus={() => setAt({ column: columnAt, row })}
                      onDoubleClick={() => !book.isPending && book.mutate(slot)}
                      title={reason ?? undefined}
                    >
                      <span className="num">{clock(slot.start)}</span>
                      {reason !== null && <span className={css.reason}>{reason}</span>}
                    </button>
                  );
                })}
              </div>
            </div>
          ))}
        </div>
      )}
      <footer className={css.confirm}>
        <span>
          {chosen ? (
            <>
              <strong className="num">
                {longDay(day, i18n.language)} {clock(chosen.start)}–{clock(chosen.end)}
              </strong>{" "}
              {chosen.device_name} · {roomOf(chosen.device_id, chosen.room_name)}
            </>
          ) : (
            t("board.choose")
          )}
        </span>
        <span className={css.hint}>{t("board.keys")}</span>
        <Button type="primary" disabled={!chosen} loading={book.isPending} onClick={() => chosen && book.mutate(chosen)}>
          {order.state === "scheduled" ? t("board.move") : t("board.book")}
        </Button>
      </footer>
    </div>
  );
}

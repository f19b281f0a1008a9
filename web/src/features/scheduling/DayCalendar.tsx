import { useQuery } from "@tanstack/react-query";
import { Skeleton } from "antd";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useLive } from "@/api/live";
import { useDirectory } from "@/api/session";
import type { Appointment } from "@/api/types";
import { itemNamed, named } from "@/lib/i18n";
import { addDays, clock, minuteOfDay, today } from "@/lib/time";
import { useKeys } from "@/lib/useKeys";
import { useNow } from "@/lib/useNow";
import { Chips } from "@/ui/Chips";
import { Empty } from "@/ui/Empty";
import { Failure } from "@/ui/Failure";
import { AppointmentTag } from "@/ui/Tags";
import { blocksOf, hoursFor } from "./calendar";
import { DayStrip } from "./DayStrip";
import css from "./Scheduling.module.css";

const PIXELS_PER_MINUTE = 1.4;

interface DayCalendarProps {
  day: string;
  modality: string;
  onChange: (change: { day?: string; modality?: string }) => void;
  onOpen: (orderId: string) => void;
}

/** One day of all devices of a kind, side by side. Left and right change the day. */
export function DayCalendar({ day, modality, onChange, onOpen }: DayCalendarProps) {
  const { t, i18n } = useTranslation("scheduling");
  const now = useNow();
  const directory = useDirectory();
  const modalities = [...new Set((directory?.devices ?? []).map((device) => device.modality))].sort();
  const shown = modality !== "" && modalities.includes(modality) ? modality : (modalities[0] ?? "");
  const devices = (directory?.devices ?? []).filter((device) => device.modality === shown);
  const appointments = useQuery({
    queryKey: ["appointments", day],
    queryFn: ({ signal }) => api.list<Appointment>("/appointments", { query: { date: day }, signal }),
  });
  useLive(["appt", "sps", "slot", "patient.arrived", "exam"], [["appointments"]]);
  useKeys({
    ArrowLeft: () => onChange({ day: addDays(day, -1) }),
    ArrowRight: () => onChange({ day: addDays(day, 1) }),
    t: () => onChange({ day: today() }),
  });

  const columns = devices.map((device) => ({ device, blocks: blocksOf((appointments.data ?? []).filter(({ device_id }) => device_id === device.id)) }));
  const minute = minuteOfDay(now.toISOString());
  const isToday = day === today();
  const hours = hoursFor(columns.flatMap(({ blocks }) => blocks), isToday ? minute : undefined);
  const top = (minute: number) => (minute - hours.from * 60) * PIXELS_PER_MINUTE;
  const height = (hours.to - hours.from) * 60 * PIXELS_PER_MINUTE;

  // Opening today's calendar shows the present hour, not the early morning.
  const scroller = useRef<HTMLDivElement>(null);
  const ready = directory !== undefined && appointments.data !== undefined;
  const startAt = isToday ? Math.max(0, top(minute) - 120) : 0;
  const initial = useRef(startAt);
  useEffect(() => {
    initial.current = startAt;
  });
  useEffect(() => {
    if (ready) scroller.current?.scrollTo({ top: initial.current });
  }, [ready, day, shown]);

  return (
    <div className={css.calendar}>
      <div className={css.calendarTools}>
        <Chips label={t("calendar.modality")} value={shown} onChange={(value) => onChange({ modality: value })} chips={modalities.map((value) => ({ value, label: value }))} />
        <DayStrip day={day} first={day > addDays(today(), -1) && day < addDays(today(), 7) ? today() : day} onChange={(next) => onChange({ day: next })} past />
      </div>
      {appointments.error && !appointments.data ? (
        <Failure error={appointments.error} onRetry={() => void appointments.refetch()} />
      ) : directory === undefined ? (
        <Skeleton active paragraph={{ rows: 10 }} title={false} />
      ) : devices.length === 0 ? (
        <Empty title={t("calendar.none")} hint={t("calendar.none_hint")} />
      ) : (
        <div className={css.days} ref={scroller} tabIndex={0} role="region" aria-label={t("calendar.region", { modality: shown })}>
          <div className={css.axis} style={{ height: height + 48 }}>
            {Array.from({ length: hours.to - hours.from + 1 }, (_, index) => hours.from + index).map((hour) => (
              <span key={hour} className="num" style={{ top: top(hour * 60) + 48 }}>
                {`${String(hour).padStart(2, "0")}:00`}
              </span>
            ))}
          </div>
          {columns.map(({ device, blocks }) => {
            const room = directory.rooms.find(({ id }) => id === device.room_id);
            return (
              <section key={device.id} className={css.deviceDay} aria-label={device.name}>
                <header className={css.columnHead}>
                  <strong>{device.name}</strong>
                  <span>
                    {room ? named(room, i18n.language) : device.ae_title} · {appointments.data === undefined ? "…" : t("calendar.count", { count: blocks.length })}
                    {!device.active && ` · ${t("calendar.inactive")}`}
                  </span>
                </header>
                <div
                  className={css.track}
                  style={{ height, backgroundSize: `100% ${60 * PIXELS_PER_MINUTE}px` }}
                >
                  {isToday && minute >= hours.from * 60 && minute <= hours.to * 60 && <div className={css.now} style={{ top: top(minute) }} aria-hidden />}
                  {blocks.map(({ appointment, from, to, lane, lanes }) => (
                    <button
                      key={appointment.id}
                      type="button"
                      className={`${css.block} ${css[`state_${appointment.state}`] ?? ""} ${(to - from) * PIXELS_PER_MINUTE < 36 ? css.flat : ""}`}
                      style={{
                        top: top(from) + 1,
                        height: Math.max(19, (to - from) * PIXELS_PER_MINUTE - 2),
                        left: `calc(${(lane / lanes) * 100}% + 2px)`,
                        width: `calc(${100 / lanes}% - 4px)`,
                      }}
                      onClick={() => onOpen(appointment.order_id)}
                      title={`${clock(appointment.start)}–${clock(appointment.end)} ${appointment.patient_name} ${itemNamed(appointment, i18n.language)} ${appointment.accession}`}
                    >
                      <span className={css.blockLine}>
                        <span className="num">{clock(appointment.start)}</span> <strong>{appointment.patient_name}</strong>
                      </span>
                      <span className={css.blockItem}>{itemNamed(appointment, i18n.language)}</span>
                      {(to - from) * PIXELS_PER_MINUTE > 56 && <AppointmentTag state={appointment.state} />}
                    </button>
                  ))}
                </div>
              </section>
            );
          })}
        </div>
      )}
    </div>
  );
}

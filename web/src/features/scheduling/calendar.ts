import type { Appointment } from "@/api/types";
import { minuteOfDay } from "@/lib/time";

export interface Block {
  appointment: Appointment;
  /** Minutes since midnight. */
  from: number;
  to: number;
  /** Overlapping appointments share the width. */
  lane: number;
  lanes: number;
}

const SHOWN = new Set(["held", "booked", "checked_in", "fulfilled", "no_show"]);

/** Places appointments so that those at the same time stand beside one another. */
export function blocksOf(appointments: readonly Appointment[]): Block[] {
  const blocks: Block[] = appointments
    .filter(({ state }) => SHOWN.has(state))
    .map((appointment) => {
      const from = minuteOfDay(appointment.start);
      const length = Math.max(5, Math.round((Date.parse(appointment.end) - Date.parse(appointment.start)) / 60_000));
      return { appointment, from, to: Math.min(24 * 60, from + length), lane: 0, lanes: 1 };
    })
    .sort((a, b) => a.from - b.from || a.to - b.to);
  let group: Block[] = [];
  let end = -1;
  const close = () => {
    const lanes = group.reduce((most, { lane }) => Math.max(most, lane + 1), 1);
    for (const block of group) block.lanes = lanes;
    group = [];
  };
  for (const block of blocks) {
    if (block.from >= end) close();
    const taken = new Set(group.filter(({ to }) => to > block.from).map(({ lane }) => lane));
    while (taken.has(block.lane)) block.lane += 1;
    group.push(block);
    end = Math.max(group.length === 1 ? 0 : end, block.to);
  }
  close();
  return blocks;
}

/** The hours to show: the usual day, wider when something stands outside it or when the present minute does. */
export function hoursFor(blocks: readonly Block[], now?: number): { from: number; to: number } {
  let from = now === undefined ? 8 : Math.min(8, Math.floor(now / 60));
  let to = now === undefined ? 18 : Math.max(18, Math.min(24, Math.floor(now / 60) + 1));
  for (const block of blocks) {
    from = Math.min(from, Math.floor(block.from / 60));
    to = Math.max(to, Math.ceil(block.to / 60));
  }
  return { from, to };
}

import type { Slot } from "@/api/types";
import { dayOf } from "@/lib/time";

export interface DeviceDay {
  device_id: string;
  device_name: string;
  room_name: string;
  slots: Slot[];
}

/** The slots of one day, a column for each device, in the order of time. */
export function byDevice(slots: readonly Slot[], day: string): DeviceDay[] {
  const columns = new Map<string, DeviceDay>();
  for (const slot of slots) {
    if (dayOf(new Date(slot.start)) !== day) continue;
    let column = columns.get(slot.device_id);
    if (!column) {
      column = { device_id: slot.device_id, device_name: slot.device_name, room_name: slot.room_name, slots: [] };
      columns.set(slot.device_id, column);
    }
    column.slots.push(slot);
  }
  const result = [...columns.values()];
  for (const column of result) column.slots.sort((a, b) => a.start.localeCompare(b.start));
  return result.sort((a, b) => a.device_name.localeCompare(b.device_name));
}

export function freeCount(slots: readonly Slot[], day: string): number {
  return slots.filter((slot) => slot.free && dayOf(new Date(slot.start)) === day).length;
}

export interface At {
  column: number;
  row: number;
}

/** The earliest free time; among equal ones the first device. */
export function earliest(columns: readonly DeviceDay[]): At | null {
  let best: { at: At; start: string } | null = null;
  columns.forEach(({ slots }, column) => {
    const row = slots.findIndex(({ free }) => free);
    const slot = slots[row];
    if (slot && (best === null || slot.start < best.start)) best = { at: { column, row }, start: slot.start };
  });
  return best === null ? null : (best as { at: At }).at;
}

/** Up and down walk through free times only; sideways keeps the time as near as possible. */
export function moved(columns: readonly DeviceDay[], from: At, key: string): At {
  const current = columns[from.column];
  if (!current) return earliest(columns) ?? from;
  if (key === "ArrowDown" || key === "ArrowUp") {
    const step = key === "ArrowDown" ? 1 : -1;
    for (let row = from.row + step; row >= 0 && row < current.slots.length; row += step) {
      if (current.slots[row]?.free) return { column: from.column, row };
    }
    return from;
  }
  const step = key === "ArrowRight" ? 1 : -1;
  const time = Date.parse(current.slots[from.row]?.start ?? "");
  for (let column = from.column + step; column >= 0 && column < columns.length; column += step) {
    const slots = columns[column]?.slots ?? [];
    let best = -1;
    let distance = Infinity;
    slots.forEach((slot, row) => {
      const away = Math.abs(Date.parse(slot.start) - time);
      if (slot.free && away < distance) {
        best = row;
        distance = away;
      }
    });
    if (best >= 0) return { column, row: best };
  }
  return from;
}

import { describe, expect, it } from "vitest";
import type { Appointment, Slot } from "@/api/types";
import { instantOf } from "@/lib/time";
import { blocksOf, hoursFor } from "./calendar";
import { byDevice, earliest, freeCount, moved } from "./slots";

const day = "2026-11-24";
const slot = (device: string, time: string, free = true): Slot => {
  const start = instantOf(day, time);
  return { device_id: device, device_name: device, room_name: "", start: start.toISOString(), end: new Date(start.getTime() + 900_000).toISOString(), free, reason: free ? null : "taken" };
};
const slots = [slot("CT02", "08:15"), slot("CT01", "08:30"), slot("CT01", "08:00", false), slot("CT01", "08:15", false), slot("CT02", "08:00", false), slot("CT02", "08:30")];

describe("booking board", () => {
  const columns = byDevice(slots, day);
  it("orders devices and times", () => {
    expect(columns.map(({ device_id }) => device_id)).toEqual(["CT01", "CT02"]);
    expect(columns[0]?.slots.map(({ free }) => free)).toEqual([false, false, true]);
    expect(byDevice(slots, "2026-11-25")).toEqual([]);
    expect(freeCount(slots, day)).toBe(3);
  });
  it("starts at the earliest free time", () => {
    expect(earliest(columns)).toEqual({ column: 1, row: 1 });
    expect(earliest(byDevice([slot("CT01", "08:00", false)], day))).toBeNull();
  });
  it("walks through free times only", () => {
    expect(moved(columns, { column: 1, row: 1 }, "ArrowDown")).toEqual({ column: 1, row: 2 });
    expect(moved(columns, { column: 1, row: 1 }, "ArrowUp")).toEqual({ column: 1, row: 1 });
    expect(moved(columns, { column: 1, row: 1 }, "ArrowLeft")).toEqual({ column: 0, row: 2 });
    expect(moved(columns, { column: 0, row: 2 }, "ArrowLeft")).toEqual({ column: 0, row: 2 });
    expect(moved(columns, { column: 0, row: 2 }, "ArrowRight")).toEqual({ column: 1, row: 2 });
  });
});

describe("day calendar", () => {
  const appointment = (id: string, from: string, to: string, state: Appointment["state"] = "booked"): Appointment => ({
    id, order_id: id, accession: id, patient_name: "", item_name: "", item_name_en: "", device_id: "d", device_name: "", room_name: "", state, overlaps: false,
    start: instantOf(day, from).toISOString(), end: instantOf(day, to).toISOString(),
  });
  it("puts overlapping appointments side by side", () => {
    const blocks = blocksOf([appointment("a", "09:00", "10:00"), appointment("b", "09:30", "09:45"), appointment("c", "09:45", "10:15"), appointment("d", "10:15", "10:30")]);
    expect(blocks.map(({ appointment: { id }, lane, lanes }) => [id, lane, lanes])).toEqual([["a", 0, 2], ["b", 1, 2], ["c", 1, 2], ["d", 0, 1]]);
  });
  it("leaves out what no longer stands, and widens the day when needed", () => {
    expect(blocksOf([appointment("a", "09:00", "10:00", "cancelled"), appointment("b", "09:00", "10:00", "moved")])).toEqual([]);
    expect(hoursFor([])).toEqual({ from: 8, to: 18 });
    expect(hoursFor(blocksOf([appointment("a", "06:30", "06:45"), appointment("b", "21:00", "21:10")]))).toEqual({ from: 6, to: 22 });
  });
  it("shows today up to the present hour", () => {
    expect(hoursFor([])).toEqual({ from: 8, to: 18 });
    expect(hoursFor([], 19 * 60 + 20)).toEqual({ from: 8, to: 20 });
    expect(hoursFor([], 6 * 60 + 5)).toEqual({ from: 6, to: 18 });
  });
});

import type { CaseCount, ReadingRow } from "@/api/types";

export interface Merged {
  readonly rows: ReadingRow[];
  /** Cases that are there but not shown yet, because showing them would move others. */
  readonly arrived: number;
}

/**
 * Live data without jumping: while the reader points at the list, rows keep their places
 * and only change in themselves; those that left stay until it is safe to move, those
 * that came are counted. Otherwise the server's order is shown.
 */
export function mergeRows(shown: readonly ReadingRow[], incoming: readonly ReadingRow[], hold: boolean): Merged {
  if (!hold || shown.length === 0) return { rows: [...incoming], arrived: 0 };
  const fresh = new Map(incoming.map((row) => [row.order_id, row]));
  const rows = shown.map((row) => fresh.get(row.order_id) ?? row);
  const known = new Set(shown.map((row) => row.order_id));
  return { rows, arrived: incoming.filter((row) => !known.has(row.order_id)).length };
}

/** The row after a key press; stops at both ends. */
export function nextRow(current: number, key: string, count: number): number | null {
  if (count === 0) return null;
  const page = 10;
  const target = {
    ArrowDown: current + 1,
    ArrowUp: current - 1,
    PageDown: current + page,
    PageUp: current - page,
    Home: 0,
    End: count - 1,
  }[key];
  return target === undefined ? null : Math.min(count - 1, Math.max(0, target));
}

export interface Waiting {
  readonly unit: "minutes" | "hours" | "days";
  readonly count: number;
  /** Past the time in which a case of its priority should be read. */
  readonly late: boolean;
}

const LIMIT_MINUTES: Record<string, number> = { emergency: 30, urgent: 120, routine: 24 * 60 };

export function waitingOf(minutes: number, priority: string): Waiting {
  const late = minutes > (LIMIT_MINUTES[priority] ?? 24 * 60);
  if (minutes < 60) return { unit: "minutes", count: minutes, late };
  if (minutes < 48 * 60) return { unit: "hours", count: Math.floor(minutes / 60), late };
  return { unit: "days", count: Math.floor(minutes / (24 * 60)), late };
}

/** Case groups as a reader thinks of them, each a set of exam states. */
export const GROUPS = {
  todo: ["imaged", "completed", "redo"],
  audit: ["reported"],
  done: ["audited", "delivered"],
} as const;
export type GroupKey = keyof typeof GROUPS;

export function groupStates(group: string | undefined): string | undefined {
  return group !== undefined && group in GROUPS ? GROUPS[group as GroupKey].join(",") : undefined;
}

/** What the list shows when no group is chosen. */
const WAITING: readonly string[] = ["imaged", "completed", "reported"];

export interface Chosen {
  readonly group?: string | undefined;
  readonly modality?: string | undefined;
  readonly priority?: string | undefined;
}

/**
 * How many cases a filter would show beside the other filters that are chosen. Undefined while that isn't known, and
 * for what is done, which is not counted.
 */
export function casesOf(counts: readonly CaseCount[] | undefined, chosen: Chosen): number | undefined {
  if (counts === undefined || chosen.group === "done") return undefined;
  const group = chosen.group as GroupKey | undefined;
  const states: readonly string[] = group !== undefined && group in GROUPS ? GROUPS[group] : WAITING;
  return counts
    .filter(({ state, modality, priority }) => states.includes(state) && [modality, undefined].includes(chosen.modality) && [priority, undefined].includes(chosen.priority))
    .reduce((sum, { cases }) => sum + cases, 0);
}

const MODALITIES = ["CT", "MR", "DX", "CR", "US", "MG", "XA"] as const;

/** The usual modalities, and whatever else has cases. */
export function modalitiesOf(counts: readonly CaseCount[] | undefined, chosen: string | undefined): string[] {
  const others = [...(counts ?? []).map(({ modality }) => modality), ...(chosen === undefined ? [] : [chosen])];
  return [...new Set([...MODALITIES, ...others.sort()])];
}

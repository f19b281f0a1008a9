import { sameText, textOf, type Text } from "./draft";
import type { Report } from "@/api/types";

/**
 * The last seconds of typing survive a crash of the browser in its own storage: under the
 * report's id and the writer's, never shown for another report or to another person, gone
 * with the next save and after a day.
 */
export interface Remains {
  readonly text: Text;
  readonly rev: number;
  readonly at: number;
}

const PREFIX = "mingying.report.";
const DAY_MS = 24 * 60 * 60_000;

function key(reportId: string, userId: string): string {
  return `${PREFIX}${reportId}.${userId}`;
}

export function keep(storage: Storage, reportId: string, userId: string, remains: Remains): void {
  try {
    storage.setItem(key(reportId, userId), JSON.stringify(remains));
  } catch {
    // Storage full or forbidden: the server still gets the text within seconds.
  }
}

export function drop(storage: Storage, reportId: string, userId: string): void {
  try {
    storage.removeItem(key(reportId, userId));
  } catch {
    // Nothing was kept then.
  }
}

/** What is left of an earlier session and differs from the server's text; otherwise null. */
export function find(storage: Storage, report: Report, userId: string, now: number): Remains | null {
  let remains: Remains | null = null;
  try {
    remains = parse(storage.getItem(key(report.id, userId)));
  } catch {
    return null;
  }
  if (remains === null) return null;
  const over = now - remains.at > DAY_MS || report.stage === "final" || sameText(remains.text, textOf(report));
  if (over) {
    drop(storage, report.id, userId);
    return null;
  }
  return remains;
}

/** Removes what nobody came back for. */
export function sweep(storage: Storage, now: number): void {
  try {
    for (const name of Object.keys(storage)) {
      if (!name.startsWith(PREFIX)) continue;
      const remains = parse(storage.getItem(name));
      if (remains === null || now - remains.at > DAY_MS) storage.removeItem(name);
    }
  } catch {
    // Storage forbidden.
  }
}

function parse(text: string | null): Remains | null {
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null) return null;
    const { text: kept, rev, at } = value as Partial<Remains>;
    if (typeof kept !== "object" || kept === null || typeof rev !== "number" || typeof at !== "number") return null;
    const { findings, impression, advice } = kept as Partial<Text>;
    if (typeof findings !== "string" || typeof impression !== "string" || typeof advice !== "string") return null;
    return { text: { findings, impression, advice }, rev, at };
  } catch {
    return null;
  }
}

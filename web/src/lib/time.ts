/**
 * Instants travel as RFC 3339 UTC and are shown in the zone of the workstation. Days that people mean
 * (birth dates, booking days) are plain `YYYY-MM-DD` and never pass through an instant.
 */
export type Day = string;

const two = (value: number) => String(value).padStart(2, "0");

/** The local calendar day of an instant. */
export function dayOf(instant: Date): Day {
  return `${instant.getFullYear()}-${two(instant.getMonth() + 1)}-${two(instant.getDate())}`;
}

export function today(): Day {
  return dayOf(new Date());
}

/** Noon keeps the calendar day whatever the zone does at midnight. */
export function noonOf(day: Day): Date {
  const [year = 1970, month = 1, date = 1] = day.split("-").map(Number);
  return new Date(year, month - 1, date, 12);
}

export function addDays(day: Day, count: number): Day {
  const at = noonOf(day);
  at.setDate(at.getDate() + count);
  return dayOf(at);
}

export function isDay(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && dayOf(noonOf(text)) === text;
}

/** Start and end of a local day as instants: `[from, to)`. */
export function dayBounds(day: Day): { from: string; to: string } {
  const start = noonOf(day);
  start.setHours(0, 0, 0, 0);
  const end = noonOf(addDays(day, 1));
  end.setHours(0, 0, 0, 0);
  return { from: start.toISOString(), to: end.toISOString() };
}

/** `08:05` */
export function clock(instant: string | Date, seconds = false): string {
  const at = typeof instant === "string" ? new Date(instant) : instant;
  if (Number.isNaN(at.getTime())) return "–";
  const text = `${two(at.getHours())}:${two(at.getMinutes())}`;
  return seconds ? `${text}:${two(at.getSeconds())}` : text;
}

/** `2026-11-24 08:05`, or only the time when it is today. */
export function stamp(instant: string | null | undefined, now: Date = new Date()): string {
  if (!instant) return "–";
  const at = new Date(instant);
  if (Number.isNaN(at.getTime())) return "–";
  return dayOf(at) === dayOf(now) ? clock(at) : `${dayOf(at)} ${clock(at)}`;
}

export function longDay(day: Day, language: string): string {
  return new Intl.DateTimeFormat(language, { year: "numeric", month: "long", day: "numeric", weekday: "long" }).format(noonOf(day));
}

export function shortDay(day: Day, language: string): string {
  return new Intl.DateTimeFormat(language, { month: "numeric", day: "numeric", weekday: "short" }).format(noonOf(day));
}

export function minutesSince(instant: string, now: Date = new Date()): number {
  return Math.max(0, Math.floor((now.getTime() - new Date(instant).getTime()) / 60_000));
}

export interface Age {
  unit: "years" | "months" | "days";
  count: number;
}

/** Radiology tells ages of small children in months and of newborns in days. */
export function ageOn(birth: Day | null, day: Day = today()): Age | null {
  if (birth === null || !isDay(birth) || birth > day) return null;
  const [by = 0, bm = 0, bd = 0] = birth.split("-").map(Number);
  const [y = 0, m = 0, d = 0] = day.split("-").map(Number);
  const months = (y - by) * 12 + (m - bm) - (d < bd ? 1 : 0);
  if (months >= 36) return { unit: "years", count: Math.floor(months / 12) };
  if (months >= 1) return { unit: "months", count: months };
  return { unit: "days", count: Math.round((noonOf(day).getTime() - noonOf(birth).getTime()) / 86_400_000) };
}

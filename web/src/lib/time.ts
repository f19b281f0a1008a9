/**
 * Instants travel as RFC 3339 UTC and are shown as wall time of the facility, whatever zone the
 * workstation or a home-office reader sits in. Days that people mean (birth dates, booking days) are
 * plain `YYYY-MM-DD` and never pass through an instant.
 */
export type Day = string;

/** Until the directory has told another one. */
export const DEFAULT_ZONE = "Asia/Shanghai";
let formatter = makeFormatter(DEFAULT_ZONE);
let zoneName = DEFAULT_ZONE;

function makeFormatter(zone: string): Intl.DateTimeFormat {
  return new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  });
}

/** Sets the facility's IANA zone; a name that the browser does not know changes nothing. */
export function setZone(zone: string): void {
  try {
    formatter = makeFormatter(zone);
    zoneName = zone;
  } catch {
    // Keep the zone that works.
  }
}

export function zone(): string {
  return zoneName;
}

const two = (value: number) => String(value).padStart(2, "0");

interface Wall {
  day: Day;
  hour: string;
  minute: string;
  second: string;
}

function wall(instant: Date): Wall {
  const part: Record<string, string> = {};
  for (const { type, value } of formatter.formatToParts(instant)) part[type] = value;
  return {
    day: `${part["year"] ?? ""}-${part["month"] ?? ""}-${part["day"] ?? ""}`,
    hour: part["hour"] ?? "00",
    minute: part["minute"] ?? "00",
    second: part["second"] ?? "00",
  };
}

/** The facility's calendar day of an instant. */
export function dayOf(instant: Date): Day {
  return wall(instant).day;
}

export function today(): Day {
  return dayOf(new Date());
}

function utcNoon(day: Day): Date {
  const [year = 1970, month = 1, date = 1] = day.split("-").map(Number);
  return new Date(Date.UTC(year, month - 1, date, 12));
}

const utcDay = (at: Date): Day => `${String(at.getUTCFullYear()).padStart(4, "0")}-${two(at.getUTCMonth() + 1)}-${two(at.getUTCDate())}`;

export function addDays(day: Day, count: number): Day {
  const at = utcNoon(day);
  at.setUTCDate(at.getUTCDate() + count);
  return utcDay(at);
}

export function isDay(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && utcDay(utcNoon(text)) === text;
}

/** The instant at which the facility's wall clock shows `time` on `day`. */
export function instantOf(day: Day, time = "00:00"): Date {
  const [year = 1970, month = 1, date = 1] = day.split("-").map(Number);
  const [hour = 0, minute = 0] = time.split(":").map(Number);
  const wanted = Date.UTC(year, month - 1, date, hour, minute);
  let guess = wanted;
  // Twice, because the offset may change between the first guess and the answer.
  for (let round = 0; round < 2; round++) {
    const shown = wall(new Date(guess));
    const [y = 0, m = 1, d = 1] = shown.day.split("-").map(Number);
    guess += wanted - Date.UTC(y, m - 1, d, Number(shown.hour), Number(shown.minute));
  }
  return new Date(guess);
}

/** Start and end of a day at the facility as instants: `[from, to)`. */
export function dayBounds(day: Day): { from: string; to: string } {
  return { from: instantOf(day).toISOString(), to: instantOf(addDays(day, 1)).toISOString() };
}

/** Minutes since midnight at the facility. */
export function minuteOfDay(instant: string): number {
  const { hour, minute } = wall(new Date(instant));
  return Number(hour) * 60 + Number(minute);
}

/** `08:05` */
export function clock(instant: string | Date, seconds = false): string {
  const at = typeof instant === "string" ? new Date(instant) : instant;
  if (Number.isNaN(at.getTime())) return "–";
  const shown = wall(at);
  return seconds ? `${shown.hour}:${shown.minute}:${shown.second}` : `${shown.hour}:${shown.minute}`;
}

/** `2026-11-24 08:05`, or only the time when it is today. */
export function stamp(instant: string | null | undefined, now: Date = new Date()): string {
  if (!instant) return "–";
  const at = new Date(instant);
  if (Number.isNaN(at.getTime())) return "–";
  return dayOf(at) === dayOf(now) ? clock(at) : `${dayOf(at)} ${clock(at)}`;
}

/** `2026-11-24 08:05`, also today: for what is kept or printed. */
export function fullStamp(instant: string): string {
  const at = new Date(instant);
  return Number.isNaN(at.getTime()) ? "–" : `${dayOf(at)} ${clock(at)}`;
}

export function longDay(day: Day, language: string): string {
  return new Intl.DateTimeFormat(language, { year: "numeric", month: "long", day: "numeric", weekday: "long", timeZone: "UTC" }).format(utcNoon(day));
}

export function shortDay(day: Day, language: string): string {
  const text = new Intl.DateTimeFormat(language, { month: "numeric", day: "numeric", weekday: "short", timeZone: "UTC" }).format(utcNoon(day));
  // Chinese puts the weekday right behind the digits: 11/25周三.
  return text.replace(/(\d)(?=周)/, "$1 ");
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
  return { unit: "days", count: Math.round((utcNoon(day).getTime() - utcNoon(birth).getTime()) / 86_400_000) };
}

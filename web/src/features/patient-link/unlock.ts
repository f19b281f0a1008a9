import { asProblem } from "@/api/problem";

export interface BirthParts {
  readonly year: string;
  readonly month: string;
  readonly day: string;
}

/** `YYYY-MM-DD`, or null while the parts are no day of the calendar that lies in the past. */
export function birthDate(parts: BirthParts, now: Date = new Date()): string | null {
  const year = Number(parts.year);
  const month = Number(parts.month);
  const day = Number(parts.day);
  if (!/^\d{4}$/.test(parts.year) || month < 1 || day < 1) return null;
  const at = new Date(Date.UTC(year, month - 1, day));
  if (at.getUTCFullYear() !== year || at.getUTCMonth() !== month - 1 || at.getUTCDate() !== day) return null;
  if (year < 1880 || at.getTime() > now.getTime()) return null;
  return at.toISOString().slice(0, 10);
}

/** The last four of a phone number or document: an identity card may end in X. */
export function lastFour(text: string): string | null {
  const clean = text.trim().toUpperCase();
  return /^[0-9A-Z]{4}$/.test(clean) ? clean : null;
}

export type Gate = "form" | "mismatch" | "throttled" | "expired" | "revoked" | "missing" | "unreachable";

/** What a refusal means for the person in front of the page. */
export function gateOf(error: unknown): Gate {
  const problem = asProblem(error);
  switch (problem.code) {
    case "share.mismatch":
      return "mismatch";
    case "share.expired":
      return "expired";
    case "share.revoked":
      return "revoked";
    case "share.throttled":
      return "throttled";
    default:
      break;
  }
  if (problem.status === 401 || problem.status === 403) return "form";
  if (problem.status === 404) return "missing";
  if (problem.status === 410) return "expired";
  if (problem.status === 429) return "throttled";
  return "unreachable";
}

/** Next field of a birth date: full fields hand the cursor on, so that eight digits are typed in one go. */
export function isFull(part: keyof BirthParts, value: string): boolean {
  if (part === "year") return value.length === 4;
  return value.length === 2 || (value.length === 1 && Number(value) > (part === "month" ? 1 : 3));
}

import { isDay, today } from "./time";

/**
 * The resident identity number of GB 11643: six digits region, eight digits birth date, three digits
 * sequence (odd = male), one check character by ISO 7064 MOD 11-2.
 */
const WEIGHTS = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2] as const;
const CHECK = "10X98765432";

export type IdCardFault = "length" | "characters" | "birth_date" | "checksum";
export type IdCard =
  | { ok: true; value: string; birth_date: string; sex: "M" | "F" }
  | { ok: false; fault: IdCardFault };

export function checkCharacter(first17: string): string {
  const sum = WEIGHTS.reduce((total, weight, index) => total + weight * Number(first17.charAt(index)), 0);
  return CHECK.charAt(sum % 11);
}

/** Accepts spaces and a lower-case x as people type them. */
export function normalizeIdCard(text: string): string {
  return text.replace(/[\s-]/g, "").toUpperCase();
}

export function readIdCard(text: string, on: string = today()): IdCard {
  const value = normalizeIdCard(text);
  if (value.length !== 18) return { ok: false, fault: "length" };
  if (!/^\d{17}[\dX]$/.test(value)) return { ok: false, fault: "characters" };
  const birth_date = `${value.slice(6, 10)}-${value.slice(10, 12)}-${value.slice(12, 14)}`;
  if (!isDay(birth_date) || birth_date > on || birth_date < "1880-01-01") return { ok: false, fault: "birth_date" };
  if (checkCharacter(value.slice(0, 17)) !== value.charAt(17)) return { ok: false, fault: "checksum" };
  return { ok: true, value, birth_date, sex: Number(value.charAt(16)) % 2 === 1 ? "M" : "F" };
}

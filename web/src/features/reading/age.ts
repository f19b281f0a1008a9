import type { TFunction } from "i18next";

const UNITS: Record<string, string> = { Y: "years", M: "months", W: "weeks", D: "days" };

/** DICOM Age String without its zeros (`57Y`, `8M`, `12D`) in words. */
export function ageText(t: TFunction<"reading">, text: string): string {
  const match = /^0*(\d+)([YMWD])$/.exec(text);
  const unit = UNITS[match?.[2] ?? ""];
  if (match?.[1] === undefined || unit === undefined) return text;
  const count = Number(match[1]);
  if (unit === "weeks") return t("common:age.days", { count: count * 7 });
  return t(`common:age.${unit}`, { count });
}

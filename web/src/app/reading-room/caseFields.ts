import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import type { Reading } from "@/api/types";
import type { CaseFields } from "@/features/reporting";
import { itemNamed } from "@/lib/i18n";
import { itemsText } from "@/lib/items";
import { today } from "@/lib/time";
import { useAgeText } from "@/ui/PersonLine";
import { measurementText, type Measurement } from "@/viewer";
import { priorDay } from "./cases";

/** A length alone: the phrase says of what. One decimal is what a pixel of 0.5 mm can carry. */
function lengthText({ value, unit }: { value: number; unit: string }): string {
  return `${value.toFixed(1)} ${unit}`;
}

/** What the case can fill into phrases and templates, in the words of the language in use. */
export function useCaseFields(reading: Reading, measured: readonly Measurement[]): CaseFields {
  const { t, i18n } = useTranslation("reading-room");
  const { t: viewer } = useTranslation("viewer");
  const age = useAgeText();
  const { order, patient, studies, priors } = reading;
  const own = studies.map((study) => study.study_uid);
  const sizes = measured.filter((entry) => own.includes(entry.studyUid)).map((entry) => (entry.length === undefined ? measurementText(viewer, entry) : lengthText(entry.length)));
  const ageText = patient.birth_date === null ? "" : age(patient.birth_date);
  const sizesText = sizes.join("\n");
  return useMemo(() => {
    const sides = new Set(order.items.flatMap((item) => (item.side === null ? [] : [item.side])));
    const [side] = sides;
    const prior = [...priors].sort((a, b) => priorDay(b.date).localeCompare(priorDay(a.date)))[0];
    const list = sizesText === "" ? [] : sizesText.split("\n");
    return {
      patient_name: patient.name,
      sex: patient.sex === "U" ? "" : t(`common:sex.${patient.sex}`),
      age: ageText,
      exam: itemsText(order, i18n.language, (key) => t(key)),
      exam_date: studies[0]?.date ?? "",
      // Two exams of different sides have no side in common.
      side: sides.size === 1 && side !== undefined ? t(`common:side.${side}`) : "",
      diagnosis: order.diagnosis,
      history: order.history,
      accession: order.accession,
      prior_date: prior === undefined ? "" : priorDay(prior.date),
      prior_exam: prior === undefined ? "" : itemNamed(prior, i18n.language),
      prior_impression: prior?.impression ?? "",
      last_measurement: list.at(-1) ?? "",
      all_measurements: list.join(i18n.language === "en-US" ? "; " : "；"),
      today: today(),
    };
  }, [order, patient, studies, priors, ageText, sizesText, t, i18n.language]);
}

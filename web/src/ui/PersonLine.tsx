import { useTranslation } from "react-i18next";
import type { PatientSummary } from "@/api/types";
import { ageOn } from "@/lib/time";
import css from "./Person.module.css";

/** `46岁`, `7个月`, `12天`: or a dash while the birth date is unknown. */
export function useAgeText(): (birth: string | null) => string {
  const { t } = useTranslation("common");
  return (birth) => {
    const age = ageOn(birth);
    return age === null ? t("age.unknown") : t(`age.${age.unit}`, { count: age.count });
  };
}

/** Name, sex, age, birth date and record number in one line: enough to tell two people of one name apart. */
export function PersonLine({ patient, dense = false }: { patient: PatientSummary; dense?: boolean }) {
  const { t } = useTranslation("common");
  const age = useAgeText();
  return (
    <span className={css.line}>
      <span className={css.name}>{patient.name}</span>
      <span className={`${css.fact} num`}>
        {t(`sex.${patient.sex}`)} {age(patient.birth_date)}
      </span>
      {!dense && patient.birth_date !== null && <span className={`${css.fact} num`}>{patient.birth_date}</span>}
      {!dense && patient.mrn !== null && <span className={`${css.fact} mono`}>{patient.mrn}</span>}
    </span>
  );
}

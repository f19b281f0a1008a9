import { AlertOutlined } from "@ant-design/icons";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Patient, PatientSummary } from "@/api/types";
import { useAgeText } from "./PersonLine";
import { Tag } from "./Tags";
import css from "./Person.module.css";

/** Pinned while a patient is open. Alerts stand here so that nobody can miss them. */
export function PatientBanner({ patient, actions }: { patient: PatientSummary | Patient; actions?: ReactNode }) {
  const { t } = useTranslation("common");
  const age = useAgeText();
  const full = "identifiers" in patient ? patient : null;
  const card = full?.identifiers.find(({ kind }) => kind === "id_card")?.value;
  return (
    <section className={css.banner} aria-label={t("banner")}>
      <div className={css.bannerName}>
        {patient.name}
        {patient.name_latin ? <span className={css.latin}>{patient.name_latin}</span> : null}
      </div>
      <span className={css.pair}>
        {t(`sex.${patient.sex}`)} <span className="num">{age(patient.birth_date)}</span>
      </span>
      {patient.birth_date !== null && (
        <span className={css.pair}>
          <span className={css.key}>{t("field.birth_date")}</span> <span className="num">{patient.birth_date}</span>
        </span>
      )}
      {patient.mrn !== null && (
        <span className={css.pair}>
          <span className={css.key}>{t("field.mrn")}</span> <span className="mono">{patient.mrn}</span>
        </span>
      )}
      {card !== undefined && (
        <span className={css.pair}>
          <span className={css.key}>{t("identifier.id_card")}</span> <span className="mono">{card}</span>
        </span>
      )}
      {full?.phone ? (
        <span className={css.pair}>
          <span className={css.key}>{t("field.phone")}</span> <span className="num">{full.phone}</span>
        </span>
      ) : null}
      {full?.temporary && <Tag tone="warn" icon={<AlertOutlined />}>{t("temporary")}</Tag>}
      {full !== null && full.alerts.length > 0 && (
        <span className={css.alerts}>
          {full.alerts.map((alert, index) => (
            <Tag key={index} tone="warn" icon={<AlertOutlined />}>
              {t(`alert.${alert.kind}`)}
              {alert.text ? ` ${alert.text}` : ""}
            </Tag>
          ))}
        </span>
      )}
      {actions !== undefined && <div className={css.bannerActions}>{actions}</div>}
    </section>
  );
}

import { useTranslation } from "react-i18next";
import { path, url } from "@/api/client";
import type { PatientView } from "@/api/types";
import { dayOf, fullStamp, isDay, stamp } from "@/lib/time";
import { unbroken } from "@/lib/prose";
import { ImageStack } from "./ImageStack";
import css from "./PatientLink.module.css";

const SECTIONS = ["impression", "findings", "advice"] as const;
/** States in which a report is signed and may be shown. */
const SIGNED = new Set(["audited", "delivered", "final"]);

/** An instant or already a day. */
function examDay(text: string): string {
  return isDay(text) ? text : dayOf(new Date(text));
}

export function ReportView({ token, view, onEnded }: { token: string; view: PatientView; onEnded: () => void }) {
  const { t, i18n } = useTranslation("patient-link");
  const english = i18n.language === "en-US";
  const item = english && view.item_name_en !== "" ? view.item_name_en : view.item_name;
  const signed = view.signed_at !== null || SIGNED.has(view.state);
  return (
    <>
      <section className={css.card} aria-label={t("report.title")}>
        <h1 className={css.heading}>{t("report.title")}</h1>
        <dl className={css.facts}>
          <dt>{t("report.name")}</dt>
          <dd>{view.masked_name}</dd>
          <dt>{t("report.item")}</dt>
          <dd>{item}</dd>
          <dt>{t("report.date")}</dt>
          <dd>{examDay(view.exam_date)}</dd>
        </dl>
        {signed ? (
          <>
            {SECTIONS.map((section) =>
              view[section].trim() === "" ? null : (
                <section key={section} className={css.section} data-section={section}>
                  <h2 className={css.heading2}>{t(`report.${section}`)}</h2>
                  <p className={css.prose}>{unbroken(view[section])}</p>
                </section>
              ),
            )}
            {view.signed_by !== null && (
              <p className={css.signed}>{t("report.signed", { name: view.signed_by, time: fullStamp(view.signed_at ?? "") })}</p>
            )}
            <a className={css.primary} href={url(path`/p/${token}/report.pdf`)} target="_blank" rel="noopener">
              {t("report.pdf")}
            </a>
            <p className={css.hint}>{t("report.ask")}</p>
          </>
        ) : (
          <p className={css.notice} role="status">
            {t("report.pending")}
          </p>
        )}
      </section>
      {view.images && view.series.length > 0 && <ImageStack token={token} series={view.series} onEnded={onEnded} />}
      <section className={css.card}>
        <h2 className={css.heading2}>{t("link.title")}</h2>
        <p className={css.prose}>{t("link.expires", { time: stamp(view.expires_at) })}</p>
        <p className={css.hint}>{t("link.advice")}</p>
      </section>
    </>
  );
}

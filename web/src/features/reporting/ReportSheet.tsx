import { useTranslation } from "react-i18next";
import type { Order, Report } from "@/api/types";
import { itemsText } from "@/lib/items";
import { unbroken } from "@/lib/prose";
import { fullStamp } from "@/lib/time";
import { useAgeText } from "@/ui/PersonLine";
import { SECTIONS, textOf } from "./draft";
import css from "./ReportSheet.module.css";

/**
 * The report as a page of text: what a clinician reads and what the browser prints. It shows the newest signed version;
 * without one, the working text with a mark that nobody can overlook. The legal document is the PDF.
 */
export function ReportSheet({ report, order, hospital }: { report: Report; order: Order; hospital: string }) {
  const { t, i18n } = useTranslation("reporting");
  const age = useAgeText();
  const signed = [...report.versions].sort((a, b) => b.n - a.n).find((version) => version.signed);
  const text = signed ?? textOf(report);
  const facts: readonly (readonly [string, string])[] = [
    [t("sheet.name"), order.patient.name],
    [t("sheet.person"), `${t(`common:sex.${order.patient.sex}`)} ${age(order.patient.birth_date)}`],
    [t("common:field.mrn"), order.patient.mrn ?? "–"],
    [t("sheet.accession"), order.accession],
    [t("sheet.department"), [order.department, order.physician].filter(Boolean).join(" ") || "–"],
    [t("sheet.diagnosis"), order.diagnosis || "–"],
  ];
  return (
    <article className={css.sheet}>
      <header className={css.head}>
        <p className={css.hospital}>{hospital}</p>
        <h1 className={css.title}>{itemsText(order, i18n.language, t)}</h1>
        {signed === undefined && (
          <p className={css.unsigned} role="status">
            {t("sheet.unsigned")}
          </p>
        )}
      </header>
      <dl className={css.facts}>
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {SECTIONS.filter((section) => text[section].trim() !== "").map((section) => (
        <section key={section} className={css.section} data-section={section}>
          <h2>{t(`section.${section}`)}</h2>
          <p>{unbroken(text[section])}</p>
        </section>
      ))}
      <footer className={css.foot}>
        {signed === undefined ? t("sheet.saved", { name: report.updated_by, time: fullStamp(report.updated_at) }) : t("sheet.signed", { name: signed.author, time: fullStamp(signed.at), n: signed.n })}
      </footer>
    </article>
  );
}

import { useTranslation } from "react-i18next";
import type { DiffPart } from "@/api/types";
import css from "./Reporting.module.css";

/** Deleted and inserted words, told apart by line and mark as well as by colour. */
export function DiffView({ parts }: { parts: readonly DiffPart[] }) {
  const { t } = useTranslation("reporting");
  if (parts.length === 0) return <p className={css.dim}>{t("diff.empty")}</p>;
  return (
    <p className={css.diff}>
      {parts.map((part, at) => {
        if (part.op === "insert") {
          return (
            <ins key={at} className={css.inserted}>
              {part.text}
            </ins>
          );
        }
        if (part.op === "delete") {
          return (
            <del key={at} className={css.deleted}>
              {part.text}
            </del>
          );
        }
        return <span key={at}>{part.text}</span>;
      })}
    </p>
  );
}

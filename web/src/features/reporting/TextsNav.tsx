import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { useMay } from "@/api/session";
import css from "./Phrases.module.css";

/** From phrases to templates and back, for those who keep both. */
export function TextsNav() {
  const { t } = useTranslation("reporting");
  if (!useMay()("template.edit")) return null;
  return (
    <nav className={css.nav} aria-label={t("texts.title")}>
      <Link to="/phrases" activeOptions={{ exact: true }} activeProps={{ className: css.navOn ?? "" }}>
        {t("phrase.title")}
      </Link>
      <Link to="/phrases/templates" activeProps={{ className: css.navOn ?? "" }}>
        {t("template.title")}
      </Link>
    </nav>
  );
}

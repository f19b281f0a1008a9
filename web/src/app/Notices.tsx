import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import { clock } from "@/lib/time";
import { Empty } from "@/ui/Empty";
import type { Notice } from "./noticeRules";
import css from "./Shell.module.css";

export function Notices({ notices }: { notices: readonly Notice[] }) {
  const { t } = useTranslation("app");
  if (notices.length === 0) return <div className={css.notices}><Empty title={t("notices.none")} hint={t("notices.none_hint")} /></div>;
  return (
    <div className={css.notices}>
      {notices.map((notice) => (
        <Link key={notice.id} to={notice.href} className={css.notice}>
          <div>{t(`notice.${notice.kind}`, { count: notice.count })}</div>
          <div className={`${css.noticeTime} num`}>{clock(notice.at)}</div>
        </Link>
      ))}
    </div>
  );
}

import { LockOutlined } from "@ant-design/icons";
import { Link, useParams } from "@tanstack/react-router";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useMay } from "@/api/session";
import { Empty } from "@/ui/Empty";
import { PageFrame } from "@/ui/PageFrame";
import css from "./Admin.module.css";

export interface TabPart {
  key: string;
  action: string;
  body: () => ReactNode;
}

/** Parts of an administration page that the policy allows, one in each URL. */
export function TabbedPage({ base, title, parts }: { base: "/interfaces" | "/admin"; title: string; parts: readonly TabPart[] }) {
  const { t } = useTranslation("admin");
  const may = useMay();
  const { tab }: { tab?: string } = useParams({ strict: false });
  const allowed = parts.filter(({ action }) => may(action));
  const current = allowed.find(({ key }) => key === tab) ?? (tab === undefined ? allowed[0] : undefined);
  return (
    <PageFrame title={title}>
      {allowed.length > 0 && (
        <nav className={css.tabs} aria-label={title}>
          {allowed.map(({ key }) => (
            <Link key={key} to={`${base}/$tab`} params={{ tab: key }} className={key === current?.key ? `${css.tab} ${css.tabOn}` : css.tab} aria-current={key === current?.key ? "page" : undefined}>
              {t(`tab.${key}`)}
            </Link>
          ))}
        </nav>
      )}
      {current ? current.body() : <Empty icon={<LockOutlined />} title={t("no_part")} hint={t("common:failure.403")} />}
    </PageFrame>
  );
}

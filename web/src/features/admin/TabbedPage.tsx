import { useNavigate, useParams } from "@tanstack/react-router";
import { Tabs } from "antd";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useMay } from "@/api/session";
import { Empty } from "@/ui/Empty";
import { PageFrame } from "@/ui/PageFrame";

export interface TabPart {
  key: string;
  action: string;
  body: () => ReactNode;
}

/** Parts of an administration page that the policy allows, one in each URL. */
export function TabbedPage({ base, title, parts }: { base: "/interfaces" | "/admin"; title: string; parts: readonly TabPart[] }) {
  const { t } = useTranslation("admin");
  const may = useMay();
  const navigate = useNavigate();
  const { tab }: { tab?: string } = useParams({ strict: false });
  const allowed = parts.filter(({ action }) => may(action));
  const current = allowed.find(({ key }) => key === tab) ?? (tab === undefined ? allowed[0] : undefined);
  return (
    <PageFrame title={title}>
      {allowed.length > 0 && (
        <Tabs
          activeKey={current?.key ?? ""}
          onChange={(key) => void navigate({ to: `${base}/$tab`, params: { tab: key } })}
          items={allowed.map(({ key }) => ({ key, label: t(`tab.${key}`) }))}
          style={{ marginBottom: -12 }}
        />
      )}
      {current ? current.body() : <Empty title={t("no_part")} />}
    </PageFrame>
  );
}

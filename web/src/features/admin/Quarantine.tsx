import { App, Button, Space } from "antd";
import { useTranslation } from "react-i18next";
import { api, path } from "@/api/client";
import { useLive } from "@/api/live";
import type { Quarantined } from "@/api/types";
import { stamp } from "@/lib/time";
import { Empty } from "@/ui/Empty";
import { Panel } from "@/ui/PageFrame";
import { RowTable, type Column } from "@/ui/RowTable";
import { bytes } from "./format";
import { useAct } from "./useAct";
import { usePages } from "./usePages";

/** Files that could not be filed. Nothing is thrown away without somebody's decision. */
export function Quarantine() {
  const { t } = useTranslation("admin");
  const { modal } = App.useApp();
  const pages = usePages<Quarantined>(["quarantine"], "/quarantine");
  useLive(["object", "quarantine"], [["quarantine"]]);
  const keys = [["quarantine"], ["unmatched"]];
  const retry = useAct((id: string) => api.post<unknown>(path`/quarantine/${id}/retry`), { keys, done: t("quarantine.retried") });
  const remove = useAct((id: string) => api.delete(path`/quarantine/${id}`), { keys, done: t("quarantine.removed") });
  const columns: Column<Quarantined>[] = [
    { key: "at", title: t("quarantine.at"), numeric: true, width: 136, render: (row) => stamp(row.received_at) },
    { key: "source", title: t("quarantine.source"), render: (row) => row.source },
    { key: "reason", title: t("quarantine.reason"), render: (row) => t(`quarantine.reason.${row.reason}`, { defaultValue: row.reason }) },
    { key: "size", title: t("quarantine.size"), numeric: true, align: "right", width: 88, wide: true, render: (row) => bytes(row.size) },
    { key: "uid", title: t("quarantine.uid"), wide: true, render: (row) => <span className="mono">{row.sop_uid || "–"}</span> },
    {
      key: "actions",
      title: <span className="visually-hidden">{t("actions")}</span>,
      align: "right",
      render: (row) => (
        <Space size={4} wrap>
          <Button size="small" loading={retry.isPending && retry.variables === row.id} onClick={() => retry.mutate(row.id)}>
            {t("quarantine.retry")}
          </Button>
          <Button
            size="small"
            type="text"
            danger
            onClick={() =>
              modal.confirm({ title: t("quarantine.remove_ask"), content: t("quarantine.remove_hint"), okText: t("common:delete"), okButtonProps: { danger: true }, cancelText: t("common:cancel"), onOk: () => remove.mutateAsync(row.id).catch(() => undefined) })
            }
          >
            {t("common:delete")}
          </Button>
        </Space>
      ),
    },
  ];
  return (
    <Panel flush>
      <RowTable label={t("tab.quarantine")} columns={columns} {...pages} rowKey={(row) => row.id} empty={<Empty title={t("quarantine.none")} hint={t("quarantine.none_hint")} />} />
    </Panel>
  );
}

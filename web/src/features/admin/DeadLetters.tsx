import { Button } from "antd";
import { useTranslation } from "react-i18next";
import { api, path } from "@/api/client";
import { useLive } from "@/api/live";
import { useMay } from "@/api/session";
import type { DeadLetter } from "@/api/types";
import { stamp } from "@/lib/time";
import { Empty } from "@/ui/Empty";
import { Panel } from "@/ui/PageFrame";
import { RowTable, type Column } from "@/ui/RowTable";
import { useAct } from "./useAct";
import { usePages } from "./usePages";

/** Deliveries that no retry helped. The cause is mended first, then the letter is sent again. */
export function DeadLetters() {
  const { t } = useTranslation("admin");
  const may = useMay();
  const pages = usePages<DeadLetter>(["dead-letters"], "/dead-letters");
  useLive(["delivery", "deadletter"], [["dead-letters"]]);
  const retry = useAct((id: string) => api.post<null>(path`/dead-letters/${id}/retry`), { keys: [["dead-letters"], ["status"]], done: t("dead.queued") });
  const columns: Column<DeadLetter>[] = [
    { key: "at", title: t("dead.at"), numeric: true, width: 136, render: (row) => stamp(row.created_at) },
    { key: "subscriber", title: t("dead.subscriber"), render: (row) => <span className="mono">{row.subscriber}</span> },
    { key: "topic", title: t("dead.topic"), render: (row) => <span className="mono">{row.topic}</span> },
    { key: "error", title: t("dead.error"), wide: true, render: (row) => <span className="mono">{row.last_error}</span> },
    { key: "attempts", title: t("dead.attempts"), numeric: true, align: "right", width: 64, wide: true, render: (row) => row.attempts },
    ...(may("deadletter.retry")
      ? [
          {
            key: "retry",
            title: <span className="visually-hidden">{t("actions")}</span>,
            align: "right" as const,
            width: 96,
            render: (row: DeadLetter) => (
              <Button size="small" loading={retry.isPending && retry.variables === row.id} onClick={() => retry.mutate(row.id)}>
                {t("dead.retry")}
              </Button>
            ),
          },
        ]
      : []),
  ];
  return (
    <Panel flush>
      <RowTable label={t("tab.dead-letters")} columns={columns} {...pages} rowKey={(row) => row.id} empty={<Empty title={t("dead.none")} hint={t("dead.none_hint")} />} />
    </Panel>
  );
}

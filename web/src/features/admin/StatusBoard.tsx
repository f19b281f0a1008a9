import { CheckCircleOutlined, WarningOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import { Skeleton } from "antd";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useLiveState } from "@/api/live";
import type { Status } from "@/api/types";
import { clock } from "@/lib/time";
import { Facts } from "@/ui/Facts";
import { Failure } from "@/ui/Failure";
import { Panel } from "@/ui/PageFrame";
import { Tag } from "@/ui/Tags";
import { bytes, span } from "./format";
import css from "./Admin.module.css";

/** The products' own spelling. */
const DATABASES: Record<string, string> = { sqlite: "SQLite", postgres: "PostgreSQL", postgresql: "PostgreSQL" };

/** Each part of the system with its state in a word; numbers below. Renewed every ten seconds. */
export function StatusBoard() {
  const { t } = useTranslation("admin");
  const live = useLiveState();
  const status = useQuery({ queryKey: ["status"], queryFn: ({ signal }) => api.get<Status>("/status", { signal }), refetchInterval: 10_000 });
  if (!status.data) return status.error ? <Failure error={status.error} onRetry={() => void status.refetch()} /> : <Skeleton active paragraph={{ rows: 6 }} />;
  const now = status.data;
  const up = span(now.uptime_seconds);
  const uptime = ({ days, hours, minutes }: typeof up): string =>
    days > 0 ? t("status.span", { days, hours, minutes }) : hours > 0 ? t("status.span_hours", { hours, minutes }) : t("status.span_minutes", { minutes });
  const health = (fine: boolean, word: string): ReactNode => (
    <Tag tone={fine ? "good" : "warn"} icon={fine ? <CheckCircleOutlined /> : <WarningOutlined />}>
      {word}
    </Tag>
  );
  return (
    <>
      {status.error ? <Failure error={status.error} compact onRetry={() => void status.refetch()} /> : null}
      <div className={css.cards}>
        <Panel title={t("status.server")} extra={health(true, t("status.running"))}>
          <Facts
            facts={[
              [t("status.version"), <span key="v" className="mono">{now.version}</span>],
              [t("status.uptime"), uptime(up)],
              [t("status.database"), DATABASES[now.database] ?? now.database],
              [t("status.live"), t(`status.live.${live}`)],
              [t("status.demo"), now.demo ? t("common:yes") : t("common:no")],
            ]}
          />
        </Panel>
        <Panel title={t("status.audit")} extra={health(now.audit.intact, now.audit.intact ? t("status.intact") : t("status.broken"))}>
          <Facts
            facts={[
              [t("status.rows"), <span key="r" className="num">{now.audit.rows}</span>],
              [t("status.sealed"), <span key="s" className="num">{now.audit.sealed}</span>],
              [t("status.lag"), t("status.seconds", { count: Math.round(now.audit.lag_seconds) })],
            ]}
          />
        </Panel>
        <Panel title={t("status.archive")} extra={health(now.blob.room === "enough", t(`storage.room.${now.blob.room}`))}>
          <Facts
            facts={[
              [t("status.packs"), <span key="p" className="num">{now.blob.packs}</span>],
              [t("status.stored"), <span key="b" className="num">{bytes(now.blob.bytes)}</span>],
              [t("status.free"), <span key="f" className="num">{bytes(now.blob.free_bytes)}</span>],
            ]}
          />
        </Panel>
        <Panel title={t("status.deliveries")} extra={health(now.deliveries.dead === 0, now.deliveries.dead === 0 ? t("status.flowing") : t("status.dead_some"))}>
          <Facts
            facts={[
              [t("status.pending"), <span key="p" className="num">{now.deliveries.pending}</span>],
              [t("status.dead"), <span key="d" className="num">{now.deliveries.dead}</span>],
            ]}
          />
        </Panel>
      </div>
      <p className={css.hint}>{t("common:stale", { time: clock(new Date(status.dataUpdatedAt), true) })}</p>
    </>
  );
}

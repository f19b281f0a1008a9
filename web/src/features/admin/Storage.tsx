import { CheckCircleOutlined, CloseCircleOutlined, LoadingOutlined, WarningOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { Button, Progress, Skeleton } from "antd";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { useLive } from "@/api/live";
import { useMay } from "@/api/session";
import type { Damage, Storage as StorageState } from "@/api/types";
import { named } from "@/lib/i18n";
import { clock, stamp } from "@/lib/time";
import { Facts } from "@/ui/Facts";
import { Failure } from "@/ui/Failure";
import { Panel } from "@/ui/PageFrame";
import { RowTable, type Column } from "@/ui/RowTable";
import { Tag } from "@/ui/Tags";
import { bytes, percent } from "./format";
import { useAct } from "./useAct";
import css from "./Admin.module.css";

/** Longer than this nobody plans. */
const MANY_DAYS = 3650;
/** While something runs, its progress is worth looking at more often. */
const SOON_MS = 3_000;
const LATER_MS = 15_000;

/** The image store: room, growth, integrity, what waits, and what can be asked of it. */
export function Storage() {
  const { t, i18n } = useTranslation("admin");
  const may = useMay();
  const manage = may("storage.manage");
  const storage = useQuery({
    queryKey: ["storage"],
    queryFn: ({ signal }) => api.get<StorageState>("/storage", { signal }),
    refetchInterval: ({ state }) => (state.data?.check.running === true || state.data?.compaction.running === true ? SOON_MS : LATER_MS),
  });
  useLive(["storage", "instances.deleted", "instances.restored", "deletion", "object", "quarantine"], [["storage"]]);
  const keys = [["storage"]];
  const check = useAct(() => api.post<null>("/storage/check"), { keys, done: t("storage.check.started") });
  const compact = useAct(() => api.post<null>("/storage/compact"), { keys, done: t("storage.compact_started") });
  const now = storage.data;
  if (!now) return storage.error ? <Failure error={storage.error} onRetry={() => void storage.refetch()} /> : <Skeleton active paragraph={{ rows: 8 }} />;
  const usable = now.pack_bytes + Math.max(0, now.free_bytes - now.reserve_bytes);
  const asked = now.derived.hits + now.derived.misses;
  const num = (text: ReactNode) => <span className="num">{text}</span>;
  return (
    <>
      {storage.error ? <Failure error={storage.error} compact onRetry={() => void storage.refetch()} /> : null}
      {now.room !== "enough" && (
        <p className={css.error} role="alert">
          {t(`storage.room_hint.${now.room}`)}
        </p>
      )}
      <div className={css.cards}>
        <Panel title={t("storage.room")} extra={<RoomTag room={now.room} />}>
          <Progress percent={usable === 0 ? 100 : Math.round((now.pack_bytes / usable) * 100)} status={now.room === "enough" ? "normal" : "exception"} aria-label={t("storage.stored")} />
          <Facts
            facts={[
              [t("storage.stored"), num(bytes(now.pack_bytes))],
              [t("storage.free"), num(bytes(now.free_bytes))],
              [t("storage.warning"), num(bytes(now.warning_bytes))],
              [t("storage.reserve"), num(bytes(now.reserve_bytes))],
            ]}
          />
        </Panel>
        <Panel title={t("storage.growth")}>
          <Facts
            facts={[
              [t("storage.per_day"), now.bytes_per_day === 0 ? t("storage.no_growth") : num(bytes(now.bytes_per_day))],
              [t("storage.days_left"), now.days_left === null ? null : now.days_left > MANY_DAYS ? t("storage.years") : t("storage.days", { count: now.days_left })],
            ]}
          />
        </Panel>
        <Panel
          title={t("storage.integrity")}
          extra={
            now.damaged === 0 ? (
              <Tag tone="good" icon={<CheckCircleOutlined />}>{t("storage.sound")}</Tag>
            ) : (
              <Tag tone="emergency" icon={<WarningOutlined />}>{t("storage.damaged", { count: now.damaged })}</Tag>
            )
          }
        >
          {now.check.running && <Progress percent={now.check.total === 0 ? 100 : Math.floor((now.check.done / now.check.total) * 100)} status="active" aria-label={t("storage.check.progress")} />}
          <Facts
            facts={[
              [t("storage.check.progress"), now.check.running ? num(`${bytes(now.check.done)} / ${bytes(now.check.total)}`) : t("storage.check.idle")],
              [t("storage.check.last"), now.check.ended_at === null ? (now.check.running ? t("storage.check.running") : t("storage.check.never")) : num(stamp(now.check.ended_at))],
              [t("storage.check.step"), now.check.at === null ? null : num(stamp(now.check.at))],
            ]}
          />
          {manage && (
            <Button size="small" className={css.act} disabled={now.check.running} loading={check.isPending} onClick={() => check.mutate(undefined)}>
              {t("storage.check.start")}
            </Button>
          )}
        </Panel>
        <Panel title={t("storage.waiting")}>
          <Facts
            facts={[
              [
                t("storage.deletions"),
                may("study.delete") ? (
                  <Link key="d" to="/admin/$tab" params={{ tab: "deletions" }}>
                    {t("storage.deletions_of", { count: now.deletions, size: bytes(now.deleted_bytes) })}
                  </Link>
                ) : (
                  num(t("storage.deletions_of", { count: now.deletions, size: bytes(now.deleted_bytes) }))
                ),
              ],
              [
                t("storage.quarantine"),
                may("quarantine.manage") ? (
                  <Link key="q" to="/interfaces/$tab" params={{ tab: "quarantine" }}>
                    {t("storage.quarantined", { count: now.quarantined })}
                  </Link>
                ) : (
                  num(t("storage.quarantined", { count: now.quarantined }))
                ),
              ],
            ]}
          />
        </Panel>
        <Panel
          title={t("storage.packs")}
          extra={
            now.compaction.running ? (
              <Tag tone="info" icon={<LoadingOutlined />}>{t("storage.compacting")}</Tag>
            ) : null
          }
        >
          <Facts
            facts={[
              [t("storage.pack_count"), num(now.packs)],
              [t("storage.compact_last"), now.compaction.ended_at === null ? t("storage.compact_never") : num(stamp(now.compaction.ended_at))],
              [t("storage.compact_freed"), now.compaction.ended_at === null ? null : num(t("storage.compact_freed_of", { packs: now.compaction.packs, size: bytes(now.compaction.freed) }))],
            ]}
          />
          <p className={css.hint}>{t("storage.packs_hint")}</p>
          {manage && (
            <Button size="small" className={css.act} disabled={now.compaction.running} loading={compact.isPending} onClick={() => compact.mutate(undefined)}>
              {t("storage.compact")}
            </Button>
          )}
        </Panel>
        <Panel title={t("storage.derived")}>
          <Facts
            facts={[
              [t("storage.derived_used"), now.derived.max_bytes === 0 ? t("storage.derived_off") : num(t("storage.derived_of", { used: bytes(now.derived.bytes), all: bytes(now.derived.max_bytes) }))],
              [t("storage.hit_rate"), asked === 0 ? t("storage.no_requests") : num(t("storage.hit_rate_of", { rate: percent(now.derived.hits / asked), hits: now.derived.hits, misses: now.derived.misses }))],
            ]}
          />
        </Panel>
        {now.organizations.length > 0 && (
          <Panel title={t("storage.organizations")}>
            <Facts
              facts={now.organizations.map((org) => [
                org.name === "" ? <span key={org.id} className="mono">{org.id}</span> : named(org, i18n.language),
                num(`${bytes(org.bytes)} / ${bytes(org.bound)} · ${percent(org.bytes / Math.max(1, org.bound))}`),
              ])}
            />
          </Panel>
        )}
      </div>
      {now.damages.length > 0 && <Damages damages={now.damages} />}
      <p className={css.hint}>{t("common:stale", { time: clock(new Date(storage.dataUpdatedAt), true) })}</p>
    </>
  );
}

function RoomTag({ room }: { room: StorageState["room"] }) {
  const { t } = useTranslation("admin");
  if (room === "enough") return <Tag tone="good" icon={<CheckCircleOutlined />}>{t("storage.room.enough")}</Tag>;
  return (
    <Tag tone={room === "full" ? "emergency" : "warn"} icon={room === "full" ? <CloseCircleOutlined /> : <WarningOutlined />}>
      {t(`storage.room.${room}`)}
    </Tag>
  );
}

/** What is damaged and what to do about it. */
function Damages({ damages }: { damages: readonly Damage[] }) {
  const { t } = useTranslation("admin");
  const columns: Column<Damage>[] = [
    { key: "found", title: t("storage.damage.found"), numeric: true, width: 136, render: (row) => stamp(row.found_at) },
    { key: "what", title: t("storage.damage.what"), width: 128, render: (row) => (row.missing ? t("storage.damage.missing") : t("storage.damage.damaged")) },
    { key: "object", title: t("storage.damage.object"), render: (row) => (row.sop_uid === null ? t("storage.damage.unknown") : <span className={`mono ${css.uid}`}>{row.sop_uid}</span>) },
    { key: "pack", title: t("storage.damage.pack"), wide: true, render: (row) => <span className="mono">{`${row.pack} ${row.from}–${row.to}`}</span> },
  ];
  return (
    <Panel flush title={t("storage.damage.title")}>
      <p className={css.todo}>{t("storage.damage.todo")}</p>
      <RowTable label={t("storage.damage.title")} columns={columns} rows={damages} rowKey={(row) => `${row.pack}-${row.from}`} empty={null} />
    </Panel>
  );
}

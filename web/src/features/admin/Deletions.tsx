import { CheckCircleOutlined, StopOutlined, UndoOutlined } from "@ant-design/icons";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { App, Button, Input } from "antd";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { api, path } from "@/api/client";
import { useLive } from "@/api/live";
import type { Deletion } from "@/api/types";
import { stamp } from "@/lib/time";
import { useDebounced } from "@/lib/useDebounced";
import { Chips } from "@/ui/Chips";
import { Empty } from "@/ui/Empty";
import { Panel } from "@/ui/PageFrame";
import { RowTable, type Column } from "@/ui/RowTable";
import { Tag } from "@/ui/Tags";
import { bytes, daysUntil } from "./format";
import { useAct } from "./useAct";
import { usePages } from "./usePages";
import css from "./Admin.module.css";

type Shown = Deletion["state"] | "all";
const SHOWN: readonly Shown[] = ["deleted", "restored", "purged", "all"];

/** What was deleted, by whom and why; what is not yet gone for good can be brought back. Patients stand here by number only. */
export function Deletions() {
  const { t } = useTranslation("admin");
  const { modal } = App.useApp();
  const navigate = useNavigate();
  const search: { show?: string; q?: string } = useSearch({ strict: false });
  const shown = SHOWN.find((key) => key === search.show) ?? "deleted";
  const [text, setText] = useState(search.q ?? "");
  const q = useDebounced(text.trim(), 300);
  const set = (change: Record<string, string | undefined>) => void navigate({ to: "/admin/$tab", params: { tab: "deletions" }, search: (before) => ({ ...before, ...change }), replace: true });
  useEffect(() => {
    if (q !== (search.q ?? "")) set({ q: q === "" ? undefined : q });
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [q]);
  const pages = usePages<Deletion>(["deletions", shown, q], "/deletions", { state: shown === "all" ? null : shown, q });
  useLive(["instances", "deletion"], [["deletions"]]);
  const restore = useAct((id: string) => api.post<Deletion>(path`/deletions/${id}/restore`), { keys: [["deletions"], ["storage"]], done: t("deletion.restored") });
  const columns: Column<Deletion>[] = [
    { key: "at", title: t("deletion.at"), numeric: true, width: 128, render: (row) => stamp(row.deleted_at) },
    { key: "patient", title: t("deletion.patient"), render: (row) => <span className="mono">{row.patient_id || "–"}</span> },
    { key: "accession", title: t("deletion.accession"), wide: true, render: (row) => <span className="mono">{row.accession || "–"}</span> },
    { key: "date", title: t("deletion.date"), numeric: true, wide: true, width: 104, render: (row) => row.study_date ?? "–" },
    { key: "what", title: t("deletion.what"), wide: true, render: (row) => <What deletion={row} /> },
    {
      key: "reason",
      title: t("deletion.reason"),
      wide: true,
      render: (row) => (
        <span title={row.note}>
          {t(`deletion.reason.${row.reason}`)}
          {row.note !== "" && <span className={css.note}>{row.note}</span>}
        </span>
      ),
    },
    { key: "by", title: t("deletion.by"), wide: true, render: (row) => row.deleted_by_name },
    { key: "state", title: t("deletion.state"), width: 120, render: (row) => <State deletion={row} /> },
    {
      key: "restore",
      title: <span className="visually-hidden">{t("actions")}</span>,
      align: "right",
      width: 96,
      render: (row) =>
        row.state === "deleted" ? (
          <Button
            size="small"
            icon={<UndoOutlined />}
            loading={restore.isPending && restore.variables === row.id}
            onClick={() =>
              modal.confirm({
                title: t("deletion.restore_ask"),
                content: t("deletion.restore_hint", { count: row.images }),
                okText: t("deletion.restore"),
                cancelText: t("common:cancel"),
                onOk: () => restore.mutateAsync(row.id).catch(() => undefined),
              })
            }
          >
            {t("deletion.restore")}
          </Button>
        ) : null,
    },
  ];
  const filtered = q !== "" || shown !== "deleted";
  return (
    <>
      <div className={css.bar}>
        <Chips label={t("deletion.state")} value={shown} onChange={(show) => set({ show: show === "deleted" ? undefined : show })} chips={SHOWN.map((value) => ({ value, label: value === "all" ? t("common:all") : t(`deletion.state.${value}`) }))} />
        <Input.Search allowClear className={css.search} value={text} onChange={(event) => setText(event.target.value)} placeholder={t("deletion.search")} aria-label={t("deletion.search")} />
      </div>
      <Panel flush>
        <RowTable
          label={t("tab.deletions")}
          columns={columns}
          {...pages}
          rowKey={(row) => row.id}
          empty={<Empty title={filtered ? t("deletion.none_found") : t("deletion.none")} {...(filtered ? {} : { hint: t("deletion.none_hint") })} />}
          main
        />
      </Panel>
    </>
  );
}

function What({ deletion }: { deletion: Deletion }) {
  const { t } = useTranslation("admin");
  const kind = deletion.sop_uid !== null ? "image" : deletion.series_uid !== null ? "series" : "study";
  return (
    <span title={deletion.sop_uid ?? deletion.series_uid ?? deletion.study_uid}>
      {t(`deletion.kind.${kind}`)} <span className={`num ${css.hint}`}>{t("deletion.images", { count: deletion.images })} · {bytes(deletion.bytes)}</span>
    </span>
  );
}

function State({ deletion }: { deletion: Deletion }) {
  const { t } = useTranslation("admin");
  if (deletion.state === "restored") return <Tag tone="good" icon={<CheckCircleOutlined />}>{t("deletion.state.restored")}</Tag>;
  if (deletion.state === "purged") return <Tag tone="faint" icon={<StopOutlined />}>{t("deletion.state.purged")}</Tag>;
  const days = daysUntil(deletion.restorable_until, new Date());
  return (
    <Tag tone={days > 3 ? "neutral" : "warn"} icon={<UndoOutlined />} title={stamp(deletion.restorable_until)}>
      {days === 0 ? t("deletion.left_today") : t("deletion.left", { count: days })}
    </Tag>
  );
}

import { CheckCircleOutlined, CloseCircleOutlined, LockOutlined, StopOutlined, UnlockOutlined } from "@ant-design/icons";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useQuery } from "@tanstack/react-query";
import { Input, Select } from "antd";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import type { AuditRow, Page, User } from "@/api/types";
import { clock, dayOf } from "@/lib/time";
import { api } from "@/api/client";
import { useMay } from "@/api/session";
import { useDebounced } from "@/lib/useDebounced";
import { Empty } from "@/ui/Empty";
import { Panel } from "@/ui/PageFrame";
import { RowTable, type Column } from "@/ui/RowTable";
import { Tag } from "@/ui/Tags";
import { usePages } from "./usePages";
import css from "./Admin.module.css";

/** Who did what to which object, and whether it was allowed. Rows are chained within a second. */
export function AuditLog() {
  const { t } = useTranslation("admin");
  const navigate = useNavigate();
  const search: { object_kind?: string; object_id?: string; actor_id?: string } = useSearch({ strict: false });
  const [given, setGiven] = useState({ object_kind: search.object_kind ?? "", object_id: search.object_id ?? "", actor_id: search.actor_id ?? "" });
  const filter = useDebounced(given, 300);
  useEffect(() => {
    void navigate({
      to: "/admin/$tab",
      params: { tab: "audit" },
      search: Object.fromEntries(Object.entries(filter).map(([key, value]) => [key, value.trim() || undefined])),
      replace: true,
    });
  }, [filter, navigate]);
  // Names instead of numbers for those who may see the list of users.
  const may = useMay();
  const users = useQuery({ queryKey: ["users", "names"], queryFn: ({ signal }) => api.get<Page<User>>("/users", { signal }), enabled: may("user.read"), staleTime: 60_000 });
  const nameOf = new Map(users.data?.items.map(({ id, name }) => [id, name]));
  const pages = usePages<AuditRow>(["audit", filter], "/audit", filter);
  // Devices and the parts of the system are no users: those that the rows name can be chosen as well.
  const others = new Map(pages.rows?.filter(({ actor_id }) => actor_id && !nameOf.has(actor_id)).map((row) => [row.actor_id ?? "", t(`audit.kind.${row.actor_kind}`, { defaultValue: row.actor_kind })]));
  if (given.actor_id && !nameOf.has(given.actor_id) && !others.has(given.actor_id)) others.set(given.actor_id, "");
  const outcome = (value: string) => {
    const [tone, icon] = value === "done" ? (["good", <CheckCircleOutlined key="i" />] as const) : value === "denied" ? (["warn", <StopOutlined key="i" />] as const) : (["warn", <CloseCircleOutlined key="i" />] as const);
    return (
      <Tag tone={tone} icon={icon}>
        {t(`audit.outcome.${value}`, { defaultValue: value })}
      </Tag>
    );
  };
  const columns: Column<AuditRow>[] = [
    { key: "at", title: t("audit.at"), render: (row) => <><span className={`num ${css.whole}`}>{dayOf(new Date(row.at))}</span> <span className={`num ${css.whole}`}>{clock(row.at, true)}</span></> },
    { key: "actor", title: t("audit.actor"), render: (row) => <>{!nameOf.has(row.actor_id ?? "") && <span>{t(`audit.kind.${row.actor_kind}`, { defaultValue: row.actor_kind })}</span>} {nameOf.has(row.actor_id ?? "") ? <strong title={row.actor_id ?? ""}>{nameOf.get(row.actor_id ?? "")}</strong> : <span className="mono" title={row.actor_id ?? ""}>{(row.actor_id ?? "").slice(0, 13)}</span>}</> },
    { key: "action", title: t("audit.action"), render: (row) => <span className={css.whole} title={row.action}>{t(`audit.action.${row.action}`, { defaultValue: row.action })}</span> },
    { key: "object", title: t("audit.object"), wide: true, render: (row) => (row.object_kind ? <><span title={row.object_kind}>{t(`audit.object.${row.object_kind}`, { defaultValue: row.object_kind })}</span> <span className="mono" title={row.object_id ?? ""}>{(row.object_id ?? "").slice(0, 24)}</span></> : "–") },
    { key: "outcome", title: t("audit.outcome"), width: 96, render: (row) => outcome(row.outcome) },
    { key: "source", title: t("audit.source"), wide: true, render: (row) => <span className="mono">{row.source ?? "–"}</span> },
    { key: "detail", title: t("audit.detail"), wide: true, render: (row) => <span className={`mono ${css.clip}`} title={detailText(row.detail)}>{detailText(row.detail)}</span> },
    {
      key: "sealed",
      title: t("audit.sealed"),
      width: 72,
      wide: true,
      render: (row) => (row.sealed ? <Tag tone="good" icon={<LockOutlined />}>{t("common:yes")}</Tag> : <Tag tone="neutral" icon={<UnlockOutlined />}>{t("audit.pending")}</Tag>),
    },
  ];
  const field = (key: keyof typeof given) => (
    <Input allowClear size="small" className="mono" style={{ width: 220 }} value={given[key]} placeholder={t(`audit.filter.${key}`)} aria-label={t(`audit.filter.${key}`)} onChange={(event) => setGiven({ ...given, [key]: event.target.value })} />
  );
  return (
    <>
      <div className={css.bar}>
        <div className={css.filters}>
          {field("object_kind")}
          {field("object_id")}
          {users.data ? (
            <Select
              allowClear
              size="small"
              style={{ width: 220 }}
              showSearch={{ optionFilterProp: "label" }}
              value={given.actor_id || undefined}
              placeholder={t("audit.filter.actor")}
              aria-label={t("audit.filter.actor")}
              options={[
                ...users.data.items.map(({ id, name, username }) => ({ value: id, label: `${name} (${username})` })),
                ...[...others].map(([id, kind]) => ({ value: id, label: `${kind} ${id}`.trim() })),
              ]}
              onChange={(id: string | undefined) => setGiven({ ...given, actor_id: id ?? "" })}
            />
          ) : (
            field("actor_id")
          )}
        </div>
      </div>
      <Panel flush>
        <RowTable label={t("tab.audit")} columns={columns} {...pages} rowKey={(row) => row.id} empty={<Empty title={t("audit.none")} />} />
      </Panel>
    </>
  );
}

function detailText(detail: unknown): string {
  if (detail === null || detail === undefined) return "";
  return typeof detail === "string" ? detail : JSON.stringify(detail);
}

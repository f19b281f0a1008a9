import { CheckCircleOutlined, ClockCircleOutlined, CloseCircleOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Button, Drawer, Input, Skeleton, Space } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, path } from "@/api/client";
import { useLive } from "@/api/live";
import { useMay } from "@/api/session";
import type { Message, MessageText } from "@/api/types";
import { stamp } from "@/lib/time";
import { Chips } from "@/ui/Chips";
import { Empty } from "@/ui/Empty";
import { Facts } from "@/ui/Facts";
import { Failure } from "@/ui/Failure";
import { Panel } from "@/ui/PageFrame";
import { RowTable, type Column } from "@/ui/RowTable";
import { Tag } from "@/ui/Tags";
import { useAct } from "./useAct";
import { usePages } from "./usePages";
import css from "./Admin.module.css";

type Shown = "error" | "done" | "received" | "all";
const shownKeys: readonly Shown[] = ["error", "done", "received", "all"];

function MessageState({ state }: { state: string }) {
  const { t } = useTranslation("admin");
  if (state === "error") return <Tag tone="warn" icon={<CloseCircleOutlined />}>{t("message.state.error")}</Tag>;
  if (state === "done") return <Tag tone="good" icon={<CheckCircleOutlined />}>{t("message.state.done")}</Tag>;
  return <Tag tone="neutral" icon={<ClockCircleOutlined />}>{t("message.state.received")}</Tag>;
}

/** Why a message was refused: the place in the message and the reason, with the code for the other side's support. */
function Refusal({ message }: { message: Message }) {
  const { t } = useTranslation("admin");
  if (message.error_code === null) return "–";
  return (
    <>
      {t(`errors:${message.error_code}`, { defaultValue: message.error_code, location: message.error_text ?? "" })} <span className={`mono ${css.hint}`}>{message.error_code}</span>
    </>
  );
}

/** What other systems sent and got by HL7; refused messages wait here until somebody mends them. */
export function Messages() {
  const { t } = useTranslation("admin");
  const may = useMay();
  const navigate = useNavigate();
  const search: { show?: string; direction?: string; message?: string } = useSearch({ strict: false });
  const shown = shownKeys.find((key) => key === search.show) ?? "error";
  const direction = search.direction === "in" || search.direction === "out" ? search.direction : "";
  const set = (change: Record<string, string | undefined>) => void navigate({ to: "/interfaces/$tab", params: { tab: "messages" }, search: (before) => ({ ...before, ...change }), replace: true });
  const pages = usePages<Message>(["messages", "list", shown, direction], "/messages", { state: shown === "all" ? null : shown, direction });
  useLive(["message"], [["messages"]]);
  const columns: Column<Message>[] = [
    { key: "at", title: t("message.at"), numeric: true, width: 136, render: (row) => stamp(row.received_at) },
    { key: "direction", title: t("message.direction"), width: 64, wide: true, render: (row) => t(`message.${row.direction}`) },
    { key: "type", title: t("message.type"), width: 96, render: (row) => <span className="mono">{row.type}</span> },
    { key: "peer", title: t("message.peer"), wide: true, render: (row) => row.peer },
    { key: "control", title: t("message.control"), wide: true, render: (row) => <span className="mono">{row.control_id}</span> },
    { key: "state", title: t("message.state"), width: 96, render: (row) => <MessageState state={row.state} /> },
    { key: "error", title: t("message.error"), render: (row) => (<Refusal message={row} />) },
    { key: "attempts", title: t("message.attempts"), numeric: true, align: "right", width: 64, wide: true, render: (row) => row.attempts },
  ];
  return (
    <>
      <div className={css.bar}>
        <Chips label={t("message.state")} value={shown} onChange={(show) => set({ show: show === "error" ? undefined : show })} chips={shownKeys.map((value) => ({ value, label: value === "all" ? t("common:all") : t(`message.state.${value}`) }))} />
        <Chips
          label={t("message.direction")}
          value={direction}
          onChange={(value) => set({ direction: value || undefined })}
          chips={(["", "in", "out"] as const).map((value) => ({ value, label: value === "" ? t("common:all") : t(`message.${value}`) }))}
        />
      </div>
      <Panel flush>
        <RowTable
          label={t("tab.messages")}
          columns={columns}
          {...pages}
          rowKey={(row) => row.id}
          {...(may("message.repair") ? { onOpen: (row: Message) => set({ message: row.id }) } : {})}
          selected={search.message ?? null}
          empty={<Empty title={shown === "error" ? t("message.none_error") : t("message.none")} hint={shown === "error" ? t("message.none_error_hint") : undefined} />}
        />
      </Panel>
      <Drawer open={search.message !== undefined} onClose={() => set({ message: undefined })} size={720} title={t("message.one")} destroyOnHidden>
        {search.message !== undefined && may("message.repair") && <OneMessage id={search.message} onDone={() => set({ message: undefined })} />}
      </Drawer>
    </>
  );
}

function OneMessage({ id, onDone }: { id: string; onDone: () => void }) {
  const { t } = useTranslation("admin");
  const navigate = useNavigate();
  const message = useQuery({ queryKey: ["messages", id], queryFn: ({ signal }) => api.get<MessageText>(path`/messages/${id}`, { signal }), staleTime: 0 });
  const [edited, setEdited] = useState<string | null>(null);
  const text = edited ?? message.data?.text ?? "";
  const changed = edited !== null && edited !== message.data?.text;
  const replay = useAct(() => api.post<Message>(path`/messages/${id}/replay`, changed ? { text } : {}), { keys: [["messages"]], done: t("message.replayed"), onDone });
  if (!message.data) return message.error ? <Failure error={message.error} onRetry={() => void message.refetch()} /> : <Skeleton active paragraph={{ rows: 10 }} />;
  const one = message.data;
  const orderId = one.order_id;
  return (
    <div className={css.stack}>
      <Facts
        columns={2}
        facts={[
          [t("message.type"), <span key="type" className="mono">{one.type}</span>],
          [t("message.state"), <MessageState key="state" state={one.state} />],
          [t("message.peer"), one.peer],
          [t("message.control"), <span key="control" className="mono">{one.control_id}</span>],
          [t("message.at"), stamp(one.received_at)],
          [t("message.attempts"), one.attempts],
        ]}
      />
      {one.error_code !== null && (
        <p className={css.error} role="status">
          <Refusal message={one} />
        </p>
      )}
      <Input.TextArea
        className={`mono ${css.raw}`}
        value={text}
        onChange={(event) => setEdited(event.target.value)}
        readOnly={one.state !== "error"}
        spellCheck={false}
        autoSize={{ minRows: 10, maxRows: 24 }}
        aria-label={t("message.text")}
      />
      <p className={css.hint}>{one.state === "error" ? t("message.edit_hint") : t("message.audited")}</p>
      <Space wrap>
        {one.state === "error" && (
          <Button type="primary" loading={replay.isPending} onClick={() => replay.mutate(undefined)}>
            {changed ? t("message.replay_changed") : t("message.replay")}
          </Button>
        )}
        {changed && <Button onClick={() => setEdited(null)}>{t("message.undo")}</Button>}
        {orderId !== null && <Button onClick={() => void navigate({ to: "/orders/$orderId", params: { orderId } })}>{t("message.order")}</Button>}
      </Space>
    </div>
  );
}

import { SoundOutlined } from "@ant-design/icons";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { App, Button, Dropdown, Space } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useDirectory, useMay } from "@/api/session";
import type { QueueEntry, QueueState } from "@/api/types";
import { useKeyHelp } from "@/lib/keyHelp";
import { useKeys } from "@/lib/useKeys";
import { askReason } from "@/ui/askReason";
import { Chips } from "@/ui/Chips";
import { Empty } from "@/ui/Empty";
import { PageFrame, Panel } from "@/ui/PageFrame";
import { useQueue, useQueueActs } from "./acts";
import { actsFor, inOrder, type QueueAct } from "./order";
import { QueueRows } from "./QueueRows";
import { RoomPicker } from "./RoomPicker";
import { TransferDialog } from "./TransferDialog";
import css from "./Flow.module.css";

type Shown = "open" | "waiting" | "passed" | "done";
const states: Record<Shown, readonly QueueState[]> = {
  open: ["in_room", "called", "waiting", "on_hold", "passed"],
  waiting: ["waiting"],
  passed: ["passed", "on_hold"],
  done: ["done", "left"],
};
const shownKeys: readonly Shown[] = ["open", "waiting", "passed", "done"];

/** The queue of one room or of all, for the triage nurse and the desk. */
export function QueuePage() {
  const { t } = useTranslation("flow");
  const { modal } = App.useApp();
  const navigate = useNavigate();
  const may = useMay();
  const directory = useDirectory();
  const search: { room?: string; show?: string } = useSearch({ strict: false });
  const room = search.room ?? "";
  const shown = shownKeys.find((key) => key === search.show) ?? "open";
  const open = useQueue(room === "" ? null : room);
  const past = useQueue(room === "" ? null : room, { finished: true });
  const queue = shown === "done" ? past : open;
  const acts = useQueueActs();
  const mayCall = may("queue.call");
  const [moving, setMoving] = useState<QueueEntry | null>(null);
  const set = (change: Record<string, string | undefined>) => void navigate({ to: ".", search: (before) => ({ ...before, ...change }), replace: true });

  const all = queue.data;
  const entries = all ? inOrder(all.filter(({ state }) => states[shown].includes(state))) : undefined;
  const count = (key: Shown) => (key === "done" ? past : open).data?.filter(({ state }) => states[key].includes(state)).length;

  const run = (entry: QueueEntry, what: QueueAct) => {
    if (what === "transfer") setMoving(entry);
    else if (what === "leave" || what === "hold")
      askReason(modal, t, {
        title: t(`ask.${what}`, { ticket: entry.ticket }),
        ok: t(`act.${what}`),
        danger: what === "leave",
        suggestions: t(`suggest.${what}`).split("|"),
        act: async (reason) => acts.act(entry, what, reason),
      });
    else acts.act(entry, what);
  };
  const keyActs: Record<string, QueueAct> = { r: "call", s: "skip", e: "enter", h: "hold", b: "return", t: "transfer", l: "leave" };
  useKeys({ n: () => mayCall && room !== "" && acts.next(room) });

  useKeyHelp({
    title: t("title"),
    rows: [
      [["N"], t("next")],
      [["↑", "↓"], t("app:help.row")],
      [["Enter"], t("app:help.open")],
      ...Object.entries(keyActs).map(([key, act]) => [[key.toUpperCase()], t(`act.${act}`)] as const),
    ],
  });

  const offered = (entry: QueueEntry) => actsFor(entry.state).filter((act) => act !== "transfer" || (directory?.devices.length ?? 0) > 1);
  return (
    <PageFrame
      fill
      title={t("title")}
      actions={
        <>
          <RoomPicker all room={room} onChange={(id) => set({ room: id || undefined })} />
          {mayCall && (
            <Button type="primary" icon={<SoundOutlined />} disabled={room === ""} loading={acts.busy} onClick={() => acts.next(room)} title={room === "" ? t("choose_room") : undefined}>
              {t("next")} <kbd>N</kbd>
            </Button>
          )}
        </>
      }
    >
      <Chips label={t("column.state")} value={shown} onChange={(show) => set({ show: show === "open" ? undefined : show })} chips={shownKeys.map((value) => ({ value, label: t(`show.${value}`), count: count(value) }))} />
      <Panel flush>
        <QueueRows
          main
          entries={entries}
          error={queue.error}
          onRetry={() => void queue.refetch()}
          withRoom={room === ""}
          empty={<Empty title={t("empty.title")} hint={t("empty.hint")} />}
          onOpen={(entry) => void navigate({ to: "/orders/$orderId", params: { orderId: entry.order_id } })}
          onRowKey={(event, entry) => {
            const act = keyActs[event.key.toLowerCase()];
            if (!act || !mayCall || event.ctrlKey || event.metaKey || event.altKey || !actsFor(entry.state).includes(act)) return;
            event.preventDefault();
            run(entry, act);
          }}
          {...(mayCall
            ? {
                actions: (entry: QueueEntry) => {
                  const [first, ...others] = offered(entry);
                  if (first === undefined) return null;
                  return (
                    <span onClick={(event) => event.stopPropagation()} onKeyDown={(event) => event.stopPropagation()}>
                      <Space.Compact size="small">
                        <Button size="small" onClick={() => run(entry, first)}>
                          {first === "call" && entry.calls > 0 ? t("act.recall") : t(`act.${first}`)}
                        </Button>
                        {others.length > 0 && (
                          <Dropdown trigger={["click"]} menu={{ items: others.map((key) => ({ key, label: t(`act.${key}`), onClick: () => run(entry, key) })) }}>
                            <Button size="small" aria-label={t("common:more")}>
                              {"⋯"}
                            </Button>
                          </Dropdown>
                        )}
                      </Space.Compact>
                    </span>
                  );
                },
              }
            : {})}
        />
      </Panel>
      <p className={css.keys}>{t("hint")}</p>
      {moving && <TransferDialog entry={moving} onClose={() => setMoving(null)} onTransfer={acts.transfer} />}
    </PageFrame>
  );
}

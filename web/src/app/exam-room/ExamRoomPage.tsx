import { SoundOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import { App, Button } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useLive } from "@/api/live";
import { useDirectory, useMay } from "@/api/session";
import type { QueueEntry } from "@/api/types";
import { ExamPanel, examActsFor, useExamActs, type ExamAct } from "@/features/exam";
import { currentOf, inOrder, QueueRows, RoomPicker, useQueue, useQueueActs, useRoom } from "@/features/flow";
import { orderQuery } from "@/features/orders";
import { patientQuery } from "@/features/patients";
import { named } from "@/lib/i18n";
import { useKeyHelp } from "@/lib/keyHelp";
import { isIdle, useKeys } from "@/lib/useKeys";
import { askReason } from "@/ui/askReason";
import { Chips } from "@/ui/Chips";
import { Empty } from "@/ui/Empty";
import { PageFrame, Panel } from "@/ui/PageFrame";
import css from "./ExamRoom.module.css";

type Shown = "open" | "done";

/** The technologist's place: the queue at the left, the called patient large in the middle, one key for each act. */
export function ExamRoomPage() {
  const { t, i18n } = useTranslation("app");
  const { modal } = App.useApp();
  const may = useMay();
  const directory = useDirectory();
  const [room, setRoom] = useRoom();
  const queue = useQueue(room?.id ?? null, { enabled: room !== undefined });
  const past = useQueue(room?.id ?? null, { enabled: room !== undefined, finished: true });
  const calls = useQueueActs();
  const exams = useExamActs();
  const [picked, setPicked] = useState<string | null>(null);
  const [shown, setShown] = useState<Shown>("open");

  const entries = room === undefined ? undefined : queue.data?.filter(({ room_id }) => room_id === room.id);
  const open = entries ? inOrder(entries.filter(({ state }) => state !== "done" && state !== "left")) : undefined;
  const done = past.data ? past.data.filter(({ state }) => state === "done").sort((a, b) => (b.called_at ?? "").localeCompare(a.called_at ?? "")) : undefined;
  const automatic = currentOf(entries ?? []);
  const entry = (shown === "done" ? [...(entries ?? []), ...(done ?? [])] : entries)?.find(({ id }) => id === picked) ?? automatic;
  const order = useQuery({ ...orderQuery(entry?.order_id ?? ""), enabled: entry !== null && entry !== undefined });
  const patient = useQuery({ ...patientQuery(entry?.patient.id ?? ""), enabled: entry !== null && entry !== undefined && may("patient.read") });
  // The modality starts and ends exams by itself; the buttons follow.
  useLive(["exam", "study", "order", "prep"], [["orders"]]);
  const mayCall = may("queue.call");
  const mayExamine = may("exam.perform");
  const state = order.data?.state ?? entry?.exam_state;
  const examActs: readonly ExamAct[] = entry && state && mayExamine && entry.state !== "waiting" && entry.state !== "passed" && entry.state !== "called" ? examActsFor(state) : [];

  const next = () => {
    if (!room || !mayCall) return;
    // Somebody may still be inside, waiting for the images to be confirmed: who was called comes to the middle.
    calls.next(room.id, (called) => setPicked(called.id));
  };
  /** The arrows walk the list without leaving the keys of the acts. */
  const step = (event: KeyboardEvent, by: 1 | -1) => {
    const list = (shown === "open" ? open : done) ?? [];
    if (event.defaultPrevented || list.length === 0 || !isIdle(event.target)) return;
    event.preventDefault();
    const at = list.findIndex(({ id }) => id === entry?.id);
    setPicked(list[Math.min(list.length - 1, Math.max(0, at + by))]?.id ?? null);
  };
  const act = (what: "call" | "enter" | "skip" | "return") => entry && mayCall && calls.act(entry, what);
  const exam = (what: ExamAct) => {
    if (order.data && examActs.includes(what)) exams.run(order.data, what, entry?.device_id);
  };
  const can = (what: "call" | "enter" | "skip" | "return") => {
    if (!entry) return false;
    if (what === "call") return entry.state === "waiting" || entry.state === "called";
    if (what === "return") return entry.state === "passed" || entry.state === "on_hold";
    return entry.state === "called";
  };
  useKeys({
    n: next,
    r: () => can("call") && act("call"),
    s: () => can("skip") && act("skip"),
    e: () => can("enter") && act("enter"),
    u: () => can("return") && act("return"),
    b: () => exam("start"),
    c: () => exam("complete"),
    d: () => exam("discontinue"),
    o: () => exam("redo"),
    Escape: () => setPicked(null),
    ArrowDown: (event) => step(event, 1),
    ArrowUp: (event) => step(event, -1),
  });
  useKeyHelp({
    title: t("exam_room.title"),
    rows: [
      [["↑", "↓"], t("help.pick")],
      [["N"], t("help.next")],
      [["R"], t("help.recall")],
      [["E"], t("help.enter")],
      [["S"], t("help.skip")],
      [["U"], t("help.return")],
      [["B"], t("help.begin")],
      [["C"], t("help.complete")],
      [["D"], t("help.discontinue")],
      [["O"], t("help.redo")],
      [["Esc"], t("help.current")],
    ],
  });

  const hold = (held: QueueEntry) =>
    askReason(modal, t, {
      title: t("flow:ask.hold", { ticket: held.ticket }),
      ok: t("flow:act.hold"),
      suggestions: t("flow:suggest.hold").split("|"),
      act: async (reason) => calls.act(held, "hold", reason),
    });

  const waiting = open?.filter((each) => each.state === "waiting").length ?? 0;
  return (
    <PageFrame
      fill
      title={t("exam_room.title")}
      aside={room && directory ? named(room, i18n.language) : undefined}
      actions={
        <>
          <RoomPicker room={room?.id ?? ""} onChange={setRoom} />
          {mayCall && (
            <Button type="primary" icon={<SoundOutlined />} disabled={!room} loading={calls.busy} onClick={next}>
              {t("flow:next")} <kbd>N</kbd>
            </Button>
          )}
        </>
      }
    >
      <div className={css.columns}>
        <Panel
          flush
          className={css.side}
          title={
            <Chips<Shown>
              label={t("flow:list")}
              value={shown}
              onChange={setShown}
              chips={[
                { value: "open", label: t("flow:show.open"), count: open?.length },
                { value: "done", label: t("flow:show.done"), count: done?.length },
              ]}
            />
          }
        >
          <QueueRows
            slim
            entries={shown === "open" ? open : done}
            error={queue.error}
            onRetry={() => void queue.refetch()}
            selected={entry?.id ?? null}
            onOpen={(chosen) => setPicked(chosen.id)}
            empty={<Empty title={t("flow:empty.title")} hint={t("flow:empty.hint")} />}
          />
        </Panel>
        <div className={css.main}>
          {entry ? (
            <ExamPanel
              entry={entry}
              order={order.data}
              patient={patient.data}
              acts={examActs}
              busy={exams.busy}
              onAct={exam}
              calls={
                mayCall && (
                  <>
                    {can("call") && (
                      <Button size="large" onClick={() => act("call")} loading={calls.busy}>
                        {entry.calls > 0 ? t("flow:act.recall") : t("flow:act.call")} <kbd>R</kbd>
                      </Button>
                    )}
                    {can("enter") && (
                      <Button size="large" type="primary" onClick={() => act("enter")}>
                        {t("flow:act.enter")} <kbd>E</kbd>
                      </Button>
                    )}
                    {can("skip") && (
                      <Button size="large" onClick={() => act("skip")}>
                        {t("flow:act.skip")} <kbd>S</kbd>
                      </Button>
                    )}
                    {can("return") && (
                      <Button size="large" onClick={() => act("return")}>
                        {t("flow:act.return")} <kbd>U</kbd>
                      </Button>
                    )}
                    {(entry.state === "waiting" || entry.state === "called") && (
                      <Button size="large" onClick={() => hold(entry)}>
                        {t("flow:act.hold")}
                      </Button>
                    )}
                  </>
                )
              }
            />
          ) : (
            <div className={css.idle}>
              <Empty
                icon={<SoundOutlined />}
                title={waiting > 0 ? t("exam_room.waiting", { count: waiting }) : t("exam_room.nobody")}
                hint={t("exam_room.keys")}
                action={
                  mayCall && waiting > 0 ? (
                    <Button type="primary" size="large" onClick={next} loading={calls.busy}>
                      {t("flow:next")} <kbd>N</kbd>
                    </Button>
                  ) : undefined
                }
              />
            </div>
          )}
        </div>
      </div>
    </PageFrame>
  );
}

import { Button } from "antd";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { Order, Patient, QueueEntry } from "@/api/types";
import { useDirectory } from "@/api/session";
import { itemNamed } from "@/lib/i18n";
import { clock } from "@/lib/time";
import { Facts } from "@/ui/Facts";
import { useAgeText } from "@/ui/PersonLine";
import { ExamTag, PriorityTag, QueueTag, SpecialTags, Tag } from "@/ui/Tags";
import { AlertOutlined } from "@ant-design/icons";
import type { ExamAct } from "./acts";
import css from "./Exam.module.css";

export const examKeys: Record<ExamAct, string> = { start: "B", complete: "C", discontinue: "D", redo: "O" };

interface ExamPanelProps {
  entry: QueueEntry;
  order: Order | undefined;
  patient: Patient | undefined;
  acts: readonly ExamAct[];
  busy: boolean;
  onAct: (act: ExamAct) => void;
  /** Calling, entering and passing stand in the same row of large buttons. */
  calls: ReactNode;
}

/** The patient who has been called: who it is, what to mind, what to do. Read from arm's length. */
export function ExamPanel({ entry, order, patient, acts, busy, onAct, calls }: ExamPanelProps) {
  const { t, i18n } = useTranslation("exam");
  const age = useAgeText();
  const directory = useDirectory();
  const english = i18n.language === "en-US";
  const preparations = (order?.items ?? [])
    .map((item) => directory?.catalogue.find(({ id }) => id === item.catalogue_id))
    .flatMap((item) => (item?.preparation ? [english && item.preparation_en ? item.preparation_en : item.preparation] : []));
  return (
    <article className={entry.priority === "emergency" ? `${css.panel} ${css.emergency}` : css.panel}>
      <header className={css.head}>
        <span className={`${css.ticket} num`}>{entry.ticket}</span>
        <div className={css.who}>
          <h2 className={css.name}>{entry.patient.name}</h2>
          <p className={css.line}>
            {t(`common:sex.${entry.patient.sex}`)} <span className="num">{age(entry.patient.birth_date)}</span>
            <span className="num">{entry.patient.birth_date ?? ""}</span>
            <span className="mono">{entry.patient.mrn ?? ""}</span>
          </p>
        </div>
        <div className={css.states}>
          <QueueTag state={entry.state} />
          <ExamTag state={order?.state ?? entry.exam_state} />
          {entry.calls > 0 && entry.called_at !== null && (
            <span className={`${css.dim} num`}>{t("calls", { count: entry.calls, time: clock(entry.called_at) })}</span>
          )}
        </div>
      </header>

      <p className={css.items}>
        {order
          ? order.items.map((item) => (
              <span key={item.id} className={css.item}>
                {english && item.name_en ? item.name_en : item.name}
                {item.side !== null && <strong className={css.side}>{t(`common:side.${item.side}`)}</strong>}
              </span>
            ))
          : itemNamed(entry, i18n.language)}
      </p>

      <div className={css.alerts}>
        <PriorityTag priority={entry.priority} />
        <SpecialTags special={entry.special} />
        {patient?.alerts.map((alert, index) => (
          <Tag key={index} tone="warn" icon={<AlertOutlined />}>
            {t(`common:alert.${alert.kind}`)} {alert.text}
          </Tag>
        ))}
        {entry.special.length === 0 && patient !== undefined && patient.alerts.length === 0 && entry.priority === "routine" && (
          <span className={css.dim}>{t("no_alerts")}</span>
        )}
      </div>

      <div className={css.facts}>
        <Facts
          facts={[
            [t("preparation"), preparations.length > 0 ? preparations.join(english ? "; " : "；") : null],
            [t("images"), order ? <span key="images" className="num">{order.images}</span> : null],
            [t("purpose"), order?.purpose],
            [t("diagnosis"), order?.diagnosis],
            [t("history"), order?.history],
            [t("accession"), <span key="accession" className="mono">{entry.accession}</span>],
            [t("from"), order ? [t(`common:visit.${order.visit_class}`), order.department, order.physician].filter(Boolean).join(" · ") : null],
          ]}
        />
      </div>

      <footer className={css.buttons}>
        {calls}
        {acts.map((act) => (
          <Button
            key={act}
            size="large"
            type={act === "start" || act === "complete" ? "primary" : "default"}
            danger={act === "discontinue"}
            disabled={order === undefined}
            loading={busy && (act === "start" || act === "complete")}
            onClick={() => onAct(act)}
          >
            {t(`act.${act}`)} <kbd>{examKeys[act]}</kbd>
          </Button>
        ))}
      </footer>
    </article>
  );
}

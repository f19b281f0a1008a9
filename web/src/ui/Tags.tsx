import {
  AlertOutlined,
  CalendarOutlined,
  CheckCircleOutlined,
  CheckOutlined,
  ClockCircleOutlined,
  CloseCircleOutlined,
  EditOutlined,
  EnvironmentOutlined,
  FileDoneOutlined,
  FileTextOutlined,
  MedicineBoxOutlined,
  PauseCircleOutlined,
  PictureOutlined,
  PlayCircleOutlined,
  RedoOutlined,
  RollbackOutlined,
  SendOutlined,
  SoundOutlined,
  StopOutlined,
  SwapOutlined,
  ThunderboltOutlined,
} from "@ant-design/icons";
import type { ComponentType, ReactNode } from "react";
import { useTranslation } from "react-i18next";
import type { AppointmentState, ExamState, Priority, QueueState, ReportStage } from "@/api/types";
import css from "./Tags.module.css";

export type Tone = "neutral" | "accent" | "info" | "good" | "warn" | "emergency" | "ai" | "faint";

/** Status is always an icon, a word and a colour; never colour alone. */
export function Tag({ tone, icon, children, title }: { tone: Tone; icon?: ReactNode; children: ReactNode; title?: string }) {
  return (
    <span className={`${css.tag} ${css[tone]}`} title={title}>
      {icon !== undefined && (
        <span className={css.icon} aria-hidden>
          {icon}
        </span>
      )}
      <span>{children}</span>
    </span>
  );
}

type Look = [Tone, ComponentType];

const examLooks: Record<ExamState, Look> = {
  draft: ["faint", EditOutlined],
  ordered: ["warn", FileTextOutlined],
  returned: ["warn", RollbackOutlined],
  accepted: ["neutral", CheckOutlined],
  scheduled: ["info", CalendarOutlined],
  arrived: ["accent", EnvironmentOutlined],
  prepared: ["accent", MedicineBoxOutlined],
  in_progress: ["info", PlayCircleOutlined],
  imaged: ["info", PictureOutlined],
  completed: ["good", CheckCircleOutlined],
  redo: ["warn", RedoOutlined],
  reported: ["info", FileTextOutlined],
  audited: ["good", FileDoneOutlined],
  delivered: ["good", SendOutlined],
  cancelled: ["faint", CloseCircleOutlined],
  discontinued: ["warn", StopOutlined],
};
const priorityLooks: Record<Priority, Look> = {
  routine: ["faint", ClockCircleOutlined],
  urgent: ["warn", ThunderboltOutlined],
  emergency: ["emergency", AlertOutlined],
};
const queueLooks: Record<QueueState, Look> = {
  waiting: ["neutral", ClockCircleOutlined],
  called: ["accent", SoundOutlined],
  in_room: ["info", PlayCircleOutlined],
  done: ["good", CheckCircleOutlined],
  passed: ["warn", SwapOutlined],
  on_hold: ["warn", PauseCircleOutlined],
  left: ["faint", CloseCircleOutlined],
};
const appointmentLooks: Record<AppointmentState, Look> = {
  held: ["faint", ClockCircleOutlined],
  booked: ["info", CalendarOutlined],
  checked_in: ["accent", EnvironmentOutlined],
  fulfilled: ["good", CheckCircleOutlined],
  cancelled: ["faint", CloseCircleOutlined],
  no_show: ["warn", StopOutlined],
  moved: ["faint", SwapOutlined],
};
const stageLooks: Record<ReportStage, Look> = {
  new: ["faint", ClockCircleOutlined],
  trainee: ["neutral", EditOutlined],
  initial: ["info", FileTextOutlined],
  rejected: ["warn", RollbackOutlined],
  final: ["good", FileDoneOutlined],
};

function look(looks: Record<string, Look>, value: string): Look {
  return looks[value] ?? ["neutral", ClockCircleOutlined];
}

export function ExamTag({ state }: { state: ExamState }) {
  const { t } = useTranslation("common");
  const [tone, Icon] = look(examLooks, state);
  return (
    <Tag tone={tone} icon={<Icon />}>
      {t(`exam.${state}`)}
    </Tag>
  );
}

/** Routine work carries no tag unless asked for: what is usual must not make noise. */
export function PriorityTag({ priority, always = false }: { priority: Priority; always?: boolean }) {
  const { t } = useTranslation("common");
  if (priority === "routine" && !always) return null;
  const [tone, Icon] = look(priorityLooks, priority);
  return (
    <Tag tone={tone} icon={<Icon />}>
      {t(`priority.${priority}`)}
    </Tag>
  );
}

export function QueueTag({ state }: { state: QueueState }) {
  const { t } = useTranslation("common");
  const [tone, Icon] = look(queueLooks, state);
  return (
    <Tag tone={tone} icon={<Icon />}>
      {t(`queue.${state}`)}
    </Tag>
  );
}

export function AppointmentTag({ state }: { state: AppointmentState }) {
  const { t } = useTranslation("common");
  const [tone, Icon] = look(appointmentLooks, state);
  return (
    <Tag tone={tone} icon={<Icon />}>
      {t(`appointment.${state}`)}
    </Tag>
  );
}

export function StageTag({ stage }: { stage: ReportStage }) {
  const { t } = useTranslation("common");
  const [tone, Icon] = look(stageLooks, stage);
  return (
    <Tag tone={tone} icon={<Icon />}>
      {t(`stage.${stage}`)}
    </Tag>
  );
}

/** Coded special conditions of an order: pregnancy, resistant germs, implants... */
export function SpecialTags({ special }: { special: readonly string[] }) {
  const { t } = useTranslation("common");
  if (special.length === 0) return null;
  return (
    <span className={css.row}>
      {special.map((condition) => (
        <Tag key={condition} tone={condition === "critical" ? "emergency" : "warn"} icon={<AlertOutlined />}>
          {t(`special.${condition}`, { defaultValue: condition })}
        </Tag>
      ))}
    </span>
  );
}

import { ArrowLeftOutlined, HistoryOutlined, RightCircleOutlined } from "@ant-design/icons";
import { Link } from "@tanstack/react-router";
import { Button } from "antd";
import { useTranslation } from "react-i18next";
import type { Order, Patient } from "@/api/types";
import { named } from "@/lib/i18n";
import { useAgeText } from "@/ui/PersonLine";
import { ExamTag, PriorityTag, SpecialTags, Tag } from "@/ui/Tags";
import { StudyMenu } from "../study-menu";
import css from "./Room.module.css";

interface Props {
  order: Order;
  patient: Patient;
  /** Studies whose images can be seen here. */
  studyUids?: readonly string[];
  /** Absent where nothing can be taken next. */
  onNext?: (() => void) | undefined;
}

/** One line that says whose case this is; it stays while anything of the case is shown. */
export function CaseBanner({ order, patient, studyUids = [], onNext }: Props) {
  const { t, i18n } = useTranslation("reading-room");
  const age = useAgeText();
  return (
    <section className={css.banner} aria-label={t("common:banner")}>
      <Link to="/reading" className={css.back} aria-label={t("back")} title={t("back")}>
        <ArrowLeftOutlined />
      </Link>
      <strong className={css.bannerName}>{patient.name}</strong>
      <span>
        {t(`common:sex.${patient.sex}`)} <span className="num">{age(patient.birth_date)}</span>
      </span>
      {patient.mrn !== null && <span className="mono">{patient.mrn}</span>}
      <span className={css.bannerItem}>
        <span className={css.modality}>{order.modality}</span>{" "}
        {order.items
          .map(
            (item) => `${named(item, i18n.language)}${item.side === null ? "" : ` ${t(`common:side.${item.side}`)}`}`,
          )
          .join(t("join"))}
      </span>
      <span className="mono">{order.accession}</span>
      <PriorityTag priority={order.priority} />
      <ExamTag state={order.state} />
      <SpecialTags special={order.special} />
      {patient.alerts.map((alert, at) => (
        <Tag key={at} tone="warn">
          {t(`common:alert.${alert.kind}`)} {alert.text}
        </Tag>
      ))}
      <span className={css.bannerActions}>
        <Link to="/orders/$orderId/timeline" params={{ orderId: order.id }} className={css.back} title={t("timeline")}>
          <HistoryOutlined aria-label={t("timeline")} />
        </Link>
        <StudyMenu studyUids={studyUids} />
        {onNext !== undefined && (
          <Button size="small" icon={<RightCircleOutlined />} onClick={onNext} title={t("next.key")}>
            {t("next")}
          </Button>
        )}
      </span>
    </section>
  );
}

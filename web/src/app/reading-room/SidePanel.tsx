import { useQuery } from "@tanstack/react-query";
import { Skeleton } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Order, PriorStudy, Study } from "@/api/types";
import { itemNamed } from "@/lib/i18n";
import { Failure } from "@/ui/Failure";
import { MeasurementList, SeriesRail, type Measurement, type SeriesRef } from "@/viewer";
import { priorDay, seriesOf, studyQuery } from "./cases";
import css from "./Room.module.css";

interface Props {
  order: Order;
  studies: readonly Study[];
  priors: readonly PriorStudy[];
  shown: readonly string[];
  series: readonly SeriesRef[];
  measured: readonly Measurement[];
  onOpen: (ref: SeriesRef) => void;
  onGo: (entry: Measurement) => void;
  onCompare: (ref: SeriesRef) => void;
  onInsert?: ((sentence: string) => void) | undefined;
}

/** Left of the pictures: what was asked, the series, what was measured, and earlier studies. */
export function SidePanel(props: Props) {
  const { t } = useTranslation("reading-room");
  const { order, studies, priors, shown, onOpen } = props;
  return (
    <div className={css.side}>
      <Request order={order} />
      {studies.map((study) => (
        <section key={study.study_uid} aria-label={study.description}>
          {studies.length > 1 && <h2 className={css.sideTitle}>{study.description || study.date}</h2>}
          <SeriesRail series={seriesOf(study)} shown={shown} onOpen={onOpen} />
        </section>
      ))}
      {studies.length === 0 && <p className={css.dim}>{t("images.none")}</p>}
      <section>
        <h2 className={css.sideTitle}>{t("measurements")}</h2>
        <MeasurementList entries={props.measured} series={props.series} onGo={props.onGo} onInsert={props.onInsert} />
      </section>
      <section>
        <h2 className={css.sideTitle}>{t("priors", { count: priors.length })}</h2>
        {priors.length === 0 && <p className={css.dim}>{t("priors.none")}</p>}
        {priors.map((prior) => (
          <Prior key={prior.study_uid} prior={prior} shown={shown} onOpen={onOpen} onCompare={props.onCompare} />
        ))}
      </section>
    </div>
  );
}

function Request({ order }: { order: Order }) {
  const { t } = useTranslation("reading-room");
  const facts: readonly (readonly [string, string])[] = [
    ["history", order.history],
    ["diagnosis", order.diagnosis],
    ["purpose", order.purpose],
    ["department", [order.department, order.physician].filter((part) => part !== "").join(" ")],
  ];
  const told = facts.filter(([, value]) => value.trim() !== "");
  if (told.length === 0) return <p className={css.dim}>{t("request.none")}</p>;
  return (
    <dl className={css.request} aria-label={t("request")}>
      {told.map(([key, value]) => (
        <div key={key}>
          <dt>{t(`request.${key}`)}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

interface PriorProps {
  prior: PriorStudy;
  shown: readonly string[];
  onOpen: (ref: SeriesRef) => void;
  onCompare: (ref: SeriesRef) => void;
}

function Prior({ prior, shown, onOpen, onCompare }: PriorProps) {
  const { t, i18n } = useTranslation("reading-room");
  const [open, setOpen] = useState(false);
  const study = useQuery(studyQuery(prior.study_uid, open));
  const series = study.data === undefined ? [] : seriesOf(study.data);
  const first = series[0];
  return (
    <div className={css.prior}>
      <button type="button" className={css.priorHead} aria-expanded={open} onClick={() => setOpen(!open)}>
        <span className="num">{priorDay(prior.date)}</span>
        <span>{itemNamed(prior, i18n.language)}</span>
      </button>
      {prior.impression !== null && prior.impression !== "" && (
        <p className={open ? css.impression : `${css.impression} ${css.clamped}`}>{prior.impression}</p>
      )}
      {open && study.isPending && <Skeleton active title={false} paragraph={{ rows: 2 }} />}
      {open && study.isError && <Failure compact error={study.error} onRetry={() => void study.refetch()} />}
      {open && first !== undefined && (
        <>
          <button type="button" className={css.link} onClick={() => onCompare(first)}>
            {t("priors.compare")}
          </button>
          <SeriesRail series={series} shown={shown} onOpen={onOpen} />
        </>
      )}
    </div>
  );
}

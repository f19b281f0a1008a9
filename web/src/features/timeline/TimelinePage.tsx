import { PrinterOutlined } from "@ant-design/icons";
import { queryOptions, useQuery } from "@tanstack/react-query";
import { Link, useParams } from "@tanstack/react-router";
import { Button, Skeleton } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { api, path } from "@/api/client";
import { useLive } from "@/api/live";
import { useRoomNames } from "@/api/names";
import type { Order, Page, TimelineEvent } from "@/api/types";
import { named } from "@/lib/i18n";
import { clock, longDay, stamp } from "@/lib/time";
import { Empty } from "@/ui/Empty";
import { Failure } from "@/ui/Failure";
import { PageFrame } from "@/ui/PageFrame";
import { PatientBanner } from "@/ui/PatientBanner";
import { ExamTag } from "@/ui/Tags";
import { actorOf, areaOf, groupByDay, recordedLate, sentenceOf, type Area } from "./sentence";
import css from "./Timeline.module.css";

const AREAS: readonly Area[] = ["order", "desk", "exam", "images", "report", "sharing", "other"];

const timelineQuery = (orderId: string) =>
  queryOptions({
    queryKey: ["timeline", orderId],
    queryFn: async ({ signal }) => {
      const events: TimelineEvent[] = [];
      let cursor: string | null = null;
      // A case has tens of events; pages only bound the answer.
      do {
        const page: Page<TimelineEvent> = await api.get(path`/orders/${orderId}/timeline`, {
          query: { cursor },
          signal,
        });
        events.push(...page.items);
        cursor = page.next;
      } while (cursor !== null);
      return events;
    },
  });

const orderQuery = (orderId: string) =>
  queryOptions({
    queryKey: ["orders", orderId],
    queryFn: ({ signal }) => api.get<Order>(path`/orders/${orderId}`, { signal }),
  });

export function TimelinePage() {
  const { t, i18n } = useTranslation("timeline");
  const { orderId = "" } = useParams({ strict: false });
  const order = useQuery(orderQuery(orderId));
  const timeline = useQuery(timelineQuery(orderId));
  const [hidden, setHidden] = useState<readonly Area[]>([]);
  useLive(["*"], (event) => {
    if (event.topic === "*" || event.case_id === orderId || event.subject_id === orderId) void timeline.refetch();
  });

  const events = timeline.data ?? [];
  const present = AREAS.filter((area) => events.some((event) => areaOf(event.topic) === area));
  const groups = groupByDay(events.filter((event) => !hidden.includes(areaOf(event.topic))));

  return (
    <PageFrame
      title={t("title")}
      aside={
        order.data !== undefined && (
          <>
            <Link to="/orders/$orderId" params={{ orderId }} className="mono">
              {order.data.accession}
            </Link>{" "}
            {order.data.items.map((item) => named(item, i18n.language)).join(t("join"))}{" "}
            <ExamTag state={order.data.state} />
          </>
        )
      }
      actions={
        <Button icon={<PrinterOutlined />} onClick={() => window.print()} className={css.noPrint}>
          {t("print")}
        </Button>
      }
    >
      {order.data !== undefined && <PatientBanner patient={order.data.patient} />}
      {timeline.isPending ? (
        <Skeleton active paragraph={{ rows: 8 }} title={false} />
      ) : timeline.isError ? (
        <Failure error={timeline.error} onRetry={() => void timeline.refetch()} />
      ) : events.length === 0 ? (
        <Empty title={t("empty")} hint={t("empty_hint")} />
      ) : (
        <>
          <div className={`${css.filters} ${css.noPrint}`} role="group" aria-label={t("filter")}>
            {present.map((area) => {
              const on = !hidden.includes(area);
              return (
                <button
                  key={area}
                  type="button"
                  className={on ? `${css.filter} ${css.on}` : css.filter}
                  data-area={area}
                  aria-pressed={on}
                  onClick={() => setHidden(on ? [...hidden, area] : hidden.filter((entry) => entry !== area))}
                >
                  <span className={css.dot} aria-hidden />
                  {t(`area.${area}`)}
                </button>
              );
            })}
          </div>
          {groups.map(({ day, events: ofDay }) => (
            <section key={day} className={css.day} aria-label={day}>
              <h2 className={css.dayTitle}>{longDay(day, i18n.language)}</h2>
              <ol className={css.list}>
                {ofDay.map((event) => (
                  <Entry key={event.id} event={event} />
                ))}
              </ol>
            </section>
          ))}
        </>
      )}
    </PageFrame>
  );
}

function Entry({ event }: { event: TimelineEvent }) {
  const { t } = useTranslation("timeline");
  const { roomNamed } = useRoomNames();
  const sentence = sentenceOf(t, event, roomNamed);
  const actor = actorOf(t, event);
  // What the system did by itself comes from nowhere else.
  const source = event.actor_kind === "system" ? "" : (event.source ?? "");
  return (
    <li className={css.entry} data-area={areaOf(event.topic)}>
      <time className={css.time} dateTime={event.occurred_at}>
        {clock(event.occurred_at, true)}
      </time>
      <span className={css.dot} aria-hidden />
      <div className={css.what}>
        <div className={css.sentence}>{sentence.text}</div>
        {sentence.details.length > 0 && (
          <dl className={css.details}>
            {sentence.details.map(([field, value]) => (
              <div key={field}>
                <dt className="mono">{field}</dt>
                <dd>{value}</dd>
              </div>
            ))}
          </dl>
        )}
        <div className={css.who}>
          <span>{actor}</span>
          {source !== "" && <span>{t("from", { source: t(`source.${source}`, { defaultValue: source }) })}</span>}
          {recordedLate(event) && <span>{t("recorded", { time: stamp(event.recorded_at) })}</span>}
          <span className="mono">{event.topic}</span>
        </div>
      </div>
    </li>
  );
}

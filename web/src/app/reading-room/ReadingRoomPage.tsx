import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useNavigate, useParams, useSearch } from "@tanstack/react-router";
import { App, Button, Segmented, Skeleton, Splitter } from "antd";
import { useCallback, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useLive } from "@/api/live";
import { useDirectory, useMay } from "@/api/session";
import type { Reading } from "@/api/types";
import { readingQuery } from "@/features/reading";
import { reports, type EditorHandle } from "@/features/reporting";
import { named } from "@/lib/i18n";
import { Empty } from "@/ui/Empty";
import { Failure } from "@/ui/Failure";
import { useKeyHelp } from "@/lib/keyHelp";
import { useAgeText } from "@/ui/PersonLine";
import { useMeasurements, useStore, useViewerSession, Viewer, type OverlayCase, type SeriesRef } from "@/viewer";
import { CaseBanner } from "./CaseBanner";
import { nextCase, priorDay, seriesOf } from "./cases";
import { useDetached, useReportWindow } from "./detach";
import { ReportPane } from "./ReportPane";
import { SidePanel } from "./SidePanel";
import { useDarkRoom } from "./useDarkRoom";
import { useDropped } from "./useDropped";
import { useNarrow } from "./useNarrow";
import css from "./Room.module.css";

export function ReadingRoomPage() {
  const { orderId = "" } = useParams({ strict: false });
  const search: Record<string, string | undefined> = useSearch({ strict: false });
  const { t } = useTranslation("reading-room");
  useDarkRoom();
  useKeyHelp({
    title: t("help.title"),
    rows: [
      [["H", "F1"], t("help.images")],
      [["Alt N"], t("help.next")],
      [["Alt R"], t("help.report")],
      [["F2"], t("help.placeholder")],
      [["Alt P"], t("help.phrases")],
      [[";", "Tab"], t("help.phrase_call")],
    ],
  });
  const queries = useQueryClient();
  const reading = useQuery(readingQuery(orderId));
  useLive(["report", "study", "instances", "case", "order", "exam"], (event) => {
    // Images that arrive know their study only.
    const study = reading.data?.studies.some(({ study_uid }) => study_uid === event.subject_id) ?? false;
    if (event.topic !== "*" && event.case_id !== orderId && event.subject_id !== orderId && !study) return;
    void queries.invalidateQueries({ queryKey: readingQuery(orderId).queryKey });
  });
  if (reading.isPending) {
    return (
      <div className={css.waiting}>
        <Skeleton active paragraph={{ rows: 8 }} />
      </div>
    );
  }
  if (reading.data === undefined) {
    return (
      <div className={css.waiting}>
        <Failure error={reading.error} onRetry={() => void reading.refetch()} />
      </div>
    );
  }
  if (search["pane"] === "report") return <ReportWindow key={orderId} reading={reading.data} />;
  return <Room key={orderId} reading={reading.data} />;
}

/** The report alone, for a second screen; the room stays in the other window. */
function ReportWindow({ reading }: { reading: Reading }) {
  const editor = useRef<EditorHandle>(null);
  useReportWindow(reading.order.id, true, (sentence) => editor.current?.insert(sentence));
  return (
    <div className={css.room}>
      <CaseBanner order={reading.order} patient={reading.patient} />
      <div className={css.windowPane}>
        <ReportPane reading={reading} onDone={() => undefined} ref={editor} />
      </div>
    </div>
  );
}

const RELEASE_MS = 1500;

type Tab = "images" | "report" | "case";

function Room({ reading }: { reading: Reading }) {
  const { t, i18n } = useTranslation("reading-room");
  const { message } = App.useApp();
  const navigate = useNavigate();
  const queries = useQueryClient();
  const may = useMay();
  const directory = useDirectory();
  const age = useAgeText();
  const narrow = useNarrow();
  const session = useViewerSession();
  const editor = useRef<EditorHandle>(null);
  const [tab, setTab] = useState<Tab>("images");
  const { order, patient, studies, priors } = reading;
  const { detached, detach, bringBack, insert: insertThere } = useDetached(order.id);
  const series = studies.flatMap(seriesOf);
  const measured = useMeasurements([
    ...studies.map((study) => study.study_uid),
    ...priors.map((prior) => prior.study_uid),
  ]);

  const wants = { draft: may("report.draft", "report.initial"), audit: may("report.audit") };
  const worker = wants.draft || wants.audit;
  const next = useCallback(async () => {
    // Nothing of this case may be lost by going on; what cannot be saved keeps us here.
    if (editor.current !== null && (await editor.current.flush()) === null) return;
    try {
      const row = await nextCase(queries, order.id, wants);
      if (row === null) {
        void message.info(t("next.none"));
        void navigate({ to: "/reading" });
      } else {
        void navigate({ to: "/reading/$orderId", params: { orderId: row.order_id } });
      }
    } catch {
      void message.error(t("next.failed"));
    }
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [queries, order.id, wants.draft, wants.audit]);

  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (!event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.code === "KeyN" && worker) {
        event.preventDefault();
        void next();
      } else if (event.code === "KeyR") {
        event.preventDefault();
        editor.current?.focus();
      }
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, [next, worker]);

  // Leaving lets the case go for others, after the last save has taken it once more.
  const holds = worker && reading.report?.can.includes("edit") === true;
  useEffect(() => {
    if (!holds) return undefined;
    return () => {
      setTimeout(() => void reports.release(order.id).catch(() => undefined), RELEASE_MS);
    };
  }, [holds, order.id]);

  useDropped(session, studies.map((study) => study.study_uid), series);
  // The first series of the case hangs at once; later arrivals move nothing.
  const hung = useRef(false);
  const first = series[0];
  useEffect(() => {
    if (session === null) {
      hung.current = false;
      return;
    }
    if (hung.current || first === undefined) return;
    hung.current = true;
    void session.show(0, first);
  }, [session, first]);

  const subjectOf = (studyUid: string): OverlayCase => {
    const study = studies.find((entry) => entry.study_uid === studyUid);
    const prior = priors.find((entry) => entry.study_uid === studyUid);
    return {
      name: patient.name,
      sex: t(`common:sex.${patient.sex}`),
      age: age(patient.birth_date),
      patientId: patient.mrn ?? "",
      hospital: directory === undefined ? "" : named(directory.org, i18n.language),
      studyDate: study?.date ?? (prior === undefined ? "" : priorDay(prior.date)),
      studyDescription: study?.description ?? "",
      prior: study === undefined,
    };
  };

  const open = (ref: SeriesRef): void => {
    if (session === null) return;
    void session.show(session.state.active, ref);
    if (narrow) setTab("images");
  };
  const writable = reading.report?.can.includes("edit") === true;
  const insert = (sentence: string): void => {
    if (detached) insertThere(sentence);
    else editor.current?.insert(sentence);
    if (narrow) setTab("report");
  };

  const pictures =
    session === null ? (
      <div className={css.black} />
    ) : first === undefined ? (
      <div className={css.black}>
        <Empty title={t("images.none")} hint={t("images.none_hint")} />
      </div>
    ) : (
      <Viewer session={session} series={series} subjectOf={subjectOf} />
    );
  const side =
    session === null ? null : (
      <SideOf
        session={session}
        narrow={narrow}
        panel={(shown, go, compare) => (
          <SidePanel
            order={order}
            studies={studies}
            priors={priors}
            series={series}
            measured={measured}
            shown={shown}
            onOpen={open}
            onGo={go}
            onCompare={compare}
            onInsert={writable ? insert : undefined}
          />
        )}
        onShowImages={() => setTab("images")}
      />
    );
  const report = detached ? (
    <div className={css.start}>
      <Empty title={t("report.detached")} action={<Button onClick={bringBack}>{t("report.bring_back")}</Button>} />
    </div>
  ) : (
    <ReportPane
      reading={reading}
      ref={editor}
      measured={measured}
      onDone={() => undefined}
      onDetach={
        narrow
          ? undefined
          : () => {
              void editor.current?.flush().then(detach);
            }
      }
    />
  );

  return (
    <div className={css.room}>
      <CaseBanner order={order} patient={patient} studyUids={studies.map((study) => study.study_uid)} onNext={worker ? () => void next() : undefined} />
      {narrow ? (
        <>
          <Segmented
            block
            size="large"
            value={tab}
            onChange={setTab}
            options={(["images", "report", "case"] as const).map((value) => ({ value, label: t(`tab.${value}`) }))}
          />
          <div className={css.tabBody} hidden={tab !== "images"}>
            {pictures}
          </div>
          <div className={css.tabBody} hidden={tab !== "report"}>
            {report}
          </div>
          <div className={css.tabBody} hidden={tab !== "case"}>
            {side}
          </div>
        </>
      ) : (
        <Splitter className={css.split}>
          <Splitter.Panel defaultSize={252} min={140} max={420} collapsible className={css.panel}>
            {side}
          </Splitter.Panel>
          <Splitter.Panel min={320} className={css.panel}>
            {pictures}
          </Splitter.Panel>
          <Splitter.Panel defaultSize={430} min={320} max={720} collapsible className={css.panel}>
            {report}
          </Splitter.Panel>
        </Splitter>
      )}
    </div>
  );
}

interface SideOfProps {
  session: NonNullable<ReturnType<typeof useViewerSession>>;
  narrow: boolean;
  onShowImages: () => void;
  panel: (
    shown: readonly string[],
    go: (entry: { studyUid: string; seriesUid: string; index: number }) => void,
    compare: (ref: SeriesRef) => void,
  ) => React.ReactNode;
}

/** Listens to the viewer apart from the room, so that scrolling doesn't redraw the report. */
function SideOf({ session, narrow, onShowImages, panel }: SideOfProps) {
  const state = useStore(session);
  const shown = state.panes.map((pane) => pane.ref?.seriesUid).filter((uid) => uid !== undefined);
  const go = ({ seriesUid, index }: { seriesUid: string; index: number }): void => {
    const at = state.panes.findIndex((pane) => pane.ref?.seriesUid === seriesUid);
    if (at >= 0) session.jump(index, at);
    if (narrow) onShowImages();
  };
  const compare = (ref: SeriesRef): void => {
    if (state.layout === "1x1") session.setLayout("1x2");
    session.activate(1);
    void session.show(1, ref);
    if (narrow) onShowImages();
  };
  return panel(shown, go, compare);
}

import { ArrowLeftOutlined } from "@ant-design/icons";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useRouter, useSearch } from "@tanstack/react-router";
import { Skeleton } from "antd";
import { useEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import { useLive } from "@/api/live";
import { asProblem } from "@/api/problem";
import { useDirectory } from "@/api/session";
import type { Study } from "@/api/types";
import { named } from "@/lib/i18n";
import { Empty } from "@/ui/Empty";
import { Failure } from "@/ui/Failure";
import {
  MeasurementList,
  SeriesRail,
  useMeasurements,
  useStore,
  useViewerSession,
  Viewer,
  type OverlayCase,
  type ViewerSession,
} from "@/viewer";
import { seriesOf, studyQuery } from "./cases";
import { StudyMenu } from "../study-menu";
import { useDarkRoom } from "./useDarkRoom";
import { useDropped } from "./useDropped";
import css from "./Room.module.css";

/** A study by itself, for those who look at images without writing about them. */
export function StudyViewerPage() {
  const search: Record<string, string | undefined> = useSearch({ strict: false });
  const studyUid = search["study"] ?? "";
  useDarkRoom();
  const study = useQuery(studyQuery(studyUid));
  const queries = useQueryClient();
  useLive(["study", "instances"], (event) => {
    if (event.topic !== "*" && event.subject_id !== studyUid) return;
    void queries.invalidateQueries({ queryKey: studyQuery(studyUid).queryKey });
  });
  const session = useViewerSession();
  if (study.isPending || session === null) {
    return (
      <div className={css.waiting}>
        <Skeleton active />
      </div>
    );
  }
  // What was deleted while it was open is not shown from memory.
  if (study.data === undefined || asProblem(study.error).status === 404) {
    return (
      <div className={css.waiting}>
        <Failure error={study.error} onRetry={() => void study.refetch()} />
      </div>
    );
  }
  return <Shown key={studyUid} study={study.data} session={session} />;
}

function Shown({ study, session }: { study: Study; session: ViewerSession }) {
  const { t, i18n } = useTranslation("reading-room");
  const directory = useDirectory();
  const router = useRouter();
  /** A page that was opened by its address has nothing behind it. */
  const leave = () => {
    if (router.history.canGoBack()) router.history.back();
    else void router.navigate({ to: "/" });
  };
  const state = useStore(session);
  const measured = useMeasurements([study.study_uid]);
  const series = seriesOf(study);
  const first = series[0];
  useDropped(session, [study.study_uid], series);
  const hung = useRef(false);
  useEffect(() => {
    if (hung.current || first === undefined) return;
    hung.current = true;
    void session.show(0, first);
  }, [session, first]);
  const subject: OverlayCase = {
    name: study.patient_name,
    sex: "",
    age: "",
    patientId: study.patient_id,
    hospital: directory === undefined ? "" : named(directory.org, i18n.language),
    studyDate: study.date ?? "",
    studyDescription: study.description,
  };
  if (first === undefined) {
    return (
      <div className={css.black}>
        <Empty title={t("images.none")} hint={t("images.none_hint")} />
      </div>
    );
  }
  return (
    <div className={css.study}>
      <header className={css.banner}>
        <button type="button" className={css.back} onClick={leave} aria-label={t("common:back")} title={t("common:back")}>
          <ArrowLeftOutlined />
        </button>
        <strong className={css.bannerName}>{study.patient_name}</strong>
        <span className="mono">{study.patient_id}</span>
        <span className={css.bannerItem}>{study.description}</span>
        <span className="num">{study.date ?? ""}</span>
        <span className="mono">{study.accession}</span>
        <span className={css.bannerActions}>
          <StudyMenu studyUids={[study.study_uid]} onDeleted={(deletion) => (deletion.series_uid === null ? leave() : undefined)} />
        </span>
      </header>
      <aside className={css.side}>
        <SeriesRail
          series={series}
          shown={state.panes.map((pane) => pane.ref?.seriesUid).filter((uid) => uid !== undefined)}
          onOpen={(ref) => void session.show(session.state.active, ref)}
        />
        <section className={measured.length === 0 ? css.quiet : undefined}>
          <h2 className={css.sideTitle}>{t("measurements")}</h2>
          <MeasurementList
            entries={measured}
            series={series}
            onGo={({ seriesUid, index }) => {
              const at = state.panes.findIndex((pane) => pane.ref?.seriesUid === seriesUid);
              if (at >= 0) session.jump(index, at);
            }}
          />
        </section>
      </aside>
      <Viewer session={session} series={series} subjectOf={() => subject} />
    </div>
  );
}

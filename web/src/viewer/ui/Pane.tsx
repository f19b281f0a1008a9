import { useEffect, useRef, type DragEvent } from "react";
import { useTranslation } from "react-i18next";
import { problemText, Problem } from "@/api/problem";
import type { OverlayMode, PaneState, SeriesRef, ViewerSession } from "../session/ViewerSession";
import { Overlay, type OverlayCase } from "./Overlay";
import { Scrubber } from "./Scrubber";
import { readDraggedSeries } from "./drag";
import css from "./Viewer.module.css";

interface Props {
  session: ViewerSession;
  at: number;
  pane: PaneState;
  active: boolean;
  alone: boolean;
  overlay: OverlayMode;
  subject: OverlayCase | null;
  /** The series as it is now, when it has more images than are shown. */
  grown: SeriesRef | null;
}

export function Pane({ session, at, pane, active, alone, overlay, subject, grown }: Props) {
  const { t } = useTranslation("viewer");
  const element = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (element.current !== null) session.attach(at, element.current);
    return () => session.detach(at);
  }, [session, at]);

  const drop = (event: DragEvent): void => {
    const ref = readDraggedSeries(event.dataTransfer);
    if (ref === null) return;
    event.preventDefault();
    session.activate(at);
    void session.show(at, ref);
  };

  const progress = pane.progress;
  const loading = progress !== null && (progress.state === "loading" || progress.state === "retrying");
  const name = t("pane", { number: at + 1 });
  return (
    <section
      className={active && !alone ? `${css.pane} ${css.paneActive}` : css.pane}
      aria-label={name}
      onDragOver={(event) => event.preventDefault()}
      onDrop={drop}
    >
      <div
        ref={element}
        className={css.canvas}
        onContextMenu={(event) => event.preventDefault()}
        data-testid={`viewport-${at}`}
        data-phase={pane.phase}
        data-slice={pane.slice}
      />
      <Overlay pane={pane} mode={overlay} subject={subject} />
      {pane.phase === "shown" && progress !== null && (
        <Scrubber
          at={pane.slice}
          total={pane.total}
          loaded={progress.loaded}
          onJump={(index) => session.jump(index, at)}
        />
      )}
      {pane.phase === "empty" && <div className={css.paneNote}>{t("empty")}</div>}
      {pane.phase === "opening" && (
        <div className={css.paneNote} role="status">
          {t("opening")}
        </div>
      )}
      {pane.phase === "failed" && (
        <div className={css.paneNote} role="alert">
          <div>{problemText(t, new Problem({ status: 0, code: pane.code ?? "viewer.load_failed" }))}</div>
          <div className="mono">{pane.code}</div>
          <button type="button" className={css.button} onClick={() => session.retry(at)}>
            {t("retry")}
          </button>
        </div>
      )}
      {loading && (
        <div
          className={progress.state === "retrying" ? `${css.progress} ${css.progressWarn}` : css.progress}
          role="progressbar"
          aria-label={progress.state === "retrying" ? t("retrying") : t("loading")}
          aria-valuemin={0}
          aria-valuemax={progress.total}
          aria-valuenow={progress.loaded}
        >
          <div style={{ width: `${(progress.loaded / Math.max(1, progress.total)) * 100}%` }} />
        </div>
      )}
      {pane.phase === "shown" && grown !== null && progress?.state !== "failed" && (
        <div className={`${css.paneBar} ${css.paneGrown}`} role="status">
          {t("grown", { count: grown.images - (pane.ref?.images ?? 0) })}
          <button type="button" className={css.button} onClick={() => void session.grow(grown)}>
            {t("grown_show")}
          </button>
        </div>
      )}
      {pane.phase === "shown" && progress?.state === "failed" && (
        <div className={css.paneBar} role="alert">
          {t("partial", { loaded: progress.loaded, total: progress.total })}
          <button type="button" className={css.button} onClick={() => session.retry(at)}>
            {t("retry")}
          </button>
        </div>
      )}
    </section>
  );
}

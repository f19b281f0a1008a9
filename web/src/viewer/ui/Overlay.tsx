import { useTranslation } from "react-i18next";
import type { OverlayMode, PaneState } from "../session/ViewerSession";
import css from "./Viewer.module.css";

/** Whose picture this is; stands in the corner of every viewport. */
export interface OverlayCase {
  readonly name: string;
  readonly sex: string;
  readonly age: string;
  readonly patientId: string;
  readonly hospital: string;
  readonly studyDate: string;
  readonly studyDescription: string;
  /** Set for earlier studies, so that nobody takes an old picture for the new one. */
  readonly prior?: boolean;
}

interface Props {
  pane: PaneState;
  mode: OverlayMode;
  subject: OverlayCase | null;
}

export function Overlay({ pane, mode, subject }: Props) {
  const { t } = useTranslation("viewer");
  const { ref } = pane;
  if (ref === null || pane.phase !== "shown") return null;
  const full = mode === "full";
  const some = mode !== "off";
  return (
    <div className={css.overlay} aria-hidden="true">
      {some && subject !== null && (
        <div className={css.topLeft}>
          <div className={css.overlayName}>{subject.name}</div>
          {full && (
            <>
              <div>{subject.patientId}</div>
              <div>
                {subject.sex} {subject.age}
              </div>
            </>
          )}
          {subject.prior === true && (
            <div className={css.priorMark}>{t("overlay.prior", { date: subject.studyDate })}</div>
          )}
        </div>
      )}
      {full && subject !== null && (
        <div className={css.topRight}>
          <div>{subject.hospital}</div>
          <div>{subject.studyDate}</div>
          <div>{subject.studyDescription}</div>
        </div>
      )}
      {some && (
        <div className={css.bottomLeft}>
          {full && (
            <>
              {ref.description !== "" && <div>{ref.description}</div>}
              {pane.location !== null && <div>{t("overlay.location", { mm: pane.location.toFixed(1) })}</div>}
              {pane.thickness !== null && <div>{t("overlay.thickness", { mm: pane.thickness.toFixed(1) })}</div>}
            </>
          )}
          <div>
            {ref.number === null
              ? t("overlay.image", { at: pane.slice + 1, total: pane.total })
              : t("overlay.series_image", { series: ref.number, at: pane.slice + 1, total: pane.total })}
          </div>
        </div>
      )}
      <div className={css.bottomRight}>
        {pane.mirrored && <div className={css.warnMark}>{t("overlay.mirrored")}</div>}
        {pane.lossy && <div className={css.warnMark}>{t("overlay.lossy")}</div>}
        {some && pane.invert && <div>{t("overlay.inverted")}</div>}
        {full && <div>{t("overlay.zoom", { percent: Math.round(pane.zoom * 100) })}</div>}
        {some && pane.window !== null && (
          <div>
            {t("overlay.window", {
              width: Math.round(pane.window.width),
              center: Math.round(pane.window.center),
            })}
          </div>
        )}
      </div>
      {pane.letters !== null && (
        <>
          <span className={css.letterTop}>{pane.letters.top}</span>
          <span className={css.letterBottom}>{pane.letters.bottom}</span>
          <span className={css.letterLeft}>{pane.letters.left}</span>
          <span className={css.letterRight}>{pane.letters.right}</span>
        </>
      )}
    </div>
  );
}

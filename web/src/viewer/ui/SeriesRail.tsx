import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { thumbnail } from "../cornerstone/thumbnail";
import type { SeriesRef } from "../session/ViewerSession";
import { writeDraggedSeries } from "./drag";
import css from "./SeriesRail.module.css";

interface Props {
  series: readonly SeriesRef[];
  /** Series that a viewport shows, by UID. */
  shown: readonly string[];
  onOpen: (ref: SeriesRef) => void;
}

/** Thumbnails of a study: drag one to a viewport, or press it to open it in the active one. */
export function SeriesRail({ series, shown, onOpen }: Props) {
  const { t } = useTranslation("viewer");
  return (
    <ul className={css.rail} aria-label={t("series.list")}>
      {series.map((ref) => (
        <li key={ref.seriesUid}>
          <button
            type="button"
            className={shown.includes(ref.seriesUid) ? `${css.item} ${css.shown}` : css.item}
            aria-pressed={shown.includes(ref.seriesUid)}
            draggable
            onDragStart={(event) => writeDraggedSeries(event.dataTransfer, ref)}
            onClick={() => onOpen(ref)}
            title={ref.description}
          >
            <Thumbnail series={ref} />
            <span className={css.caption}>
              <span className={css.number}>
                {ref.number === null ? ref.modality : t("series.number", { number: ref.number })}
              </span>
              <span className={css.count}>{t("series.images", { count: ref.images })}</span>
            </span>
            <span className={css.description}>{ref.description === "" ? ref.modality : ref.description}</span>
          </button>
        </li>
      ))}
    </ul>
  );
}

function Thumbnail({ series }: { series: SeriesRef }) {
  const [picture, setPicture] = useState<string | null>(null);
  const { studyUid, seriesUid, modality } = series;
  // The number of images at first sight: one that arrives does not ask for another picture.
  const images = useRef(series.images);
  useEffect(() => {
    let current = true;
    void thumbnail({ studyUid, seriesUid, modality, images: images.current }).then((url) => {
      if (current) setPicture(url);
    });
    return () => {
      current = false;
    };
  }, [studyUid, seriesUid, modality]);
  return (
    <span className={css.picture}>
      {picture === null ? (
        <span className={css.placeholder}>{modality}</span>
      ) : (
        <img src={picture} alt="" draggable={false} />
      )}
    </span>
  );
}

import { useEffect, useRef, useState, type PointerEvent } from "react";
import { useTranslation } from "react-i18next";
import { path, url } from "@/api/client";
import type { PatientViewSeries } from "@/api/types";
import css from "./PatientLink.module.css";

interface Props {
  token: string;
  series: readonly PatientViewSeries[];
  onEnded: () => void;
}

/** Images around the current one that are fetched in advance. */
const AHEAD = 4;
/** How far a finger moves for one image, CSS pixels. */
const STEP_PX = 14;

export function ImageStack({ token, series, onEnded }: Props) {
  const { t } = useTranslation("patient-link");
  const [chosen, setChosen] = useState(0);
  const current = series[chosen];
  if (current === undefined) return null;
  return (
    <section className={css.card} aria-label={t("images.title")}>
      <h2 className={css.heading2}>{t("images.title")}</h2>
      <p className={css.hint}>{t("images.note")}</p>
      {series.length > 1 && (
        <div className={css.seriesRow} role="group" aria-label={t("images.series")}>
          {series.map((entry, at) => (
            <button
              key={entry.series_uid}
              type="button"
              className={at === chosen ? `${css.chip} ${css.chipOn}` : css.chip}
              aria-pressed={at === chosen}
              onClick={() => setChosen(at)}
            >
              {entry.description === "" ? t("images.number", { number: at + 1 }) : entry.description}
              <span className={css.count}>{t("images.count", { count: entry.images })}</span>
            </button>
          ))}
        </div>
      )}
      <Stack key={current.series_uid} token={token} series={current} onEnded={onEnded} />
    </section>
  );
}

function Stack({ token, series, onEnded }: { token: string; series: PatientViewSeries; onEnded: () => void }) {
  const { t } = useTranslation("patient-link");
  const total = Math.max(1, series.images);
  const [at, setAt] = useState(Math.floor((total - 1) / 2));
  const [brightness, setBrightness] = useState(100);
  const [large, setLarge] = useState(false);
  const [failed, setFailed] = useState(false);
  const [loaded, setLoaded] = useState<number | null>(null);
  const drag = useRef<{ x: number; y: number; from: number } | null>(null);
  const address = (index: number): string => url(path`/p/${token}/series/${series.series_uid}/${`${index}.jpg`}`);

  const go = (index: number): void => {
    setFailed(false);
    setAt(Math.min(total - 1, Math.max(0, index)));
  };

  useEffect(() => {
    if (loaded !== at) return;
    for (let distance = 1; distance <= AHEAD; distance += 1) {
      for (const index of [at + distance, at - distance]) {
        if (index >= 0 && index < total)
          new Image().src = url(path`/p/${token}/series/${series.series_uid}/${`${index}.jpg`}`);
      }
    }
  }, [loaded, at, total, token, series.series_uid]);

  const move = (event: PointerEvent): void => {
    const start = drag.current;
    if (start === null) return;
    const dx = event.clientX - start.x;
    const dy = event.clientY - start.y;
    const along = Math.abs(dx) > Math.abs(dy) ? -dx : dy;
    go(start.from + Math.round(along / STEP_PX));
  };

  /** The browser hides why a picture failed; asking again tells an ended session from a lost network. */
  const failure = async (): Promise<void> => {
    setFailed(true);
    try {
      const response = await fetch(address(at), { credentials: "same-origin" });
      if (response.status === 401 || response.status === 403 || response.status === 410) onEnded();
    } catch {
      // Offline: the message and the button below are what can be done.
    }
  };

  return (
    <div className={large ? `${css.stack} ${css.stackLarge}` : css.stack}>
      <div
        className={css.picture}
        onPointerDown={(event) => {
          if (!event.isPrimary) return;
          drag.current = { x: event.clientX, y: event.clientY, from: at };
          event.currentTarget.setPointerCapture(event.pointerId);
        }}
        onPointerMove={move}
        onPointerUp={() => {
          drag.current = null;
        }}
        onPointerCancel={() => {
          drag.current = null;
        }}
        onWheel={(event) => go(at + Math.sign(event.deltaY))}
      >
        {failed ? (
          <div className={css.pictureFailed} role="alert">
            <p>{t("images.failed")}</p>
            <button type="button" className={css.secondary} onClick={() => setFailed(false)}>
              {t("retry")}
            </button>
          </div>
        ) : (
          <img
            src={address(at)}
            alt={t("images.alt", { at: at + 1, total })}
            draggable={false}
            style={{ filter: `brightness(${brightness}%)` }}
            onLoad={() => setLoaded(at)}
            onError={() => void failure()}
          />
        )}
        <span className={css.position} aria-hidden="true">
          {t("images.position", { at: at + 1, total })}
        </span>
      </div>
      {total > 1 && (
        <div className={css.sliderRow}>
          <button type="button" className={css.square} onClick={() => go(at - 1)} aria-label={t("images.previous")}>
            <Arrow up />
          </button>
          <input
            type="range"
            className={css.slider}
            min={1}
            max={total}
            value={at + 1}
            aria-label={t("images.which")}
            onChange={(event) => go(Number(event.target.value) - 1)}
          />
          <button type="button" className={css.square} onClick={() => go(at + 1)} aria-label={t("images.next")}>
            <Arrow />
          </button>
        </div>
      )}
      <label className={css.sliderRow}>
        <span className={css.sliderName}>{t("images.brightness")}</span>
        <input
          type="range"
          className={css.slider}
          min={40}
          max={220}
          step={10}
          value={brightness}
          onChange={(event) => setBrightness(Number(event.target.value))}
        />
      </label>
      <button type="button" className={css.secondary} aria-pressed={large} onClick={() => setLarge(!large)}>
        {t(large ? "images.smaller" : "images.larger")}
      </button>
    </div>
  );
}

function Arrow({ up = false }: { up?: boolean }) {
  return (
    <svg
      width="24"
      height="24"
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="2.5"
      aria-hidden="true"
    >
      <path d={up ? "M15 5l-7 7 7 7" : "M9 5l7 7-7 7"} />
    </svg>
  );
}

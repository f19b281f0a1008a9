import type { KeyboardEvent, PointerEvent } from "react";
import { useTranslation } from "react-i18next";
import css from "./Viewer.module.css";

interface Props {
  at: number;
  total: number;
  loaded: number;
  onJump: (index: number) => void;
}

/** Position in the series at the right edge; the bright part of the track is loaded. */
export function Scrubber({ at, total, loaded, onJump }: Props) {
  const { t } = useTranslation("viewer");
  if (total < 2) return null;
  const jump = (event: PointerEvent<HTMLDivElement>): void => {
    const box = event.currentTarget.getBoundingClientRect();
    onJump(Math.round(((event.clientY - box.top) / box.height) * (total - 1)));
  };
  const step = (event: KeyboardEvent): void => {
    const delta = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
    if (delta === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    onJump(at + delta);
  };
  return (
    <div
      className={css.scrubber}
      role="slider"
      tabIndex={0}
      aria-label={t("scrubber")}
      aria-orientation="vertical"
      aria-valuemin={1}
      aria-valuemax={total}
      aria-valuenow={at + 1}
      onKeyDown={step}
      onPointerDown={(event) => {
        event.preventDefault();
        event.currentTarget.setPointerCapture(event.pointerId);
        jump(event);
      }}
      onPointerMove={(event) => {
        if (event.buttons !== 0) jump(event);
      }}
    >
      <div className={css.scrubberTrack}>
        <div className={css.scrubberLoaded} style={{ height: `${(loaded / total) * 100}%` }} />
      </div>
      <div className={css.scrubberThumb} style={{ top: `${(at / (total - 1)) * 100}%` }} />
    </div>
  );
}

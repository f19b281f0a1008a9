import type { TFunction } from "i18next";
import { useTranslation } from "react-i18next";
import { removeMeasurement, selectMeasurement, type Measurement } from "../cornerstone/measurements";
import { rounded } from "../cornerstone/tools";
import type { SeriesRef } from "../session/ViewerSession";
import { Icon, type IconName } from "./icons";
import css from "./MeasurementList.module.css";

/** A length as reports write it: one decimal is what a pixel of 0.5 mm can carry. */
function millimetres(value: number): string {
  return value.toFixed(1);
}

export function measurementText(t: TFunction<"viewer">, entry: Measurement): string {
  const parts: string[] = [];
  const unit = entry.value === undefined || entry.value.unit === "" ? "" : ` ${entry.value.unit}`;
  if (entry.length !== undefined) {
    parts.push(t("measure.length", { value: millimetres(entry.length.value), unit: entry.length.unit }));
  }
  if (entry.angle !== undefined) parts.push(t("measure.angle", { value: millimetres(entry.angle) }));
  if (entry.area !== undefined) {
    parts.push(t("measure.area", { value: rounded(entry.area.value), unit: entry.area.unit }));
  }
  if (entry.value !== undefined) {
    const key = entry.tool === "probe" ? "measure.value" : "measure.mean";
    parts.push(t(key, { value: rounded(entry.value.mean), unit }));
  }
  return parts.join(t("measure.join"));
}

export function measurementSentence(t: TFunction<"viewer">, entry: Measurement, series: readonly SeriesRef[]): string {
  return t("measure.sentence", { text: measurementText(t, entry), place: placeText(t, entry, series) });
}

function placeText(t: TFunction<"viewer">, entry: Measurement, series: readonly SeriesRef[]): string {
  const at = series.findIndex((ref) => ref.seriesUid === entry.seriesUid);
  const number = series[at]?.number ?? at + 1;
  return t("measure.place", { series: number, image: entry.index + 1 });
}

interface Props {
  entries: readonly Measurement[];
  series: readonly SeriesRef[];
  onGo: (entry: Measurement) => void;
  /** Absent while no report can be written to. */
  onInsert?: ((sentence: string) => void) | undefined;
}

export function MeasurementList({ entries, series, onGo, onInsert }: Props) {
  const { t } = useTranslation("viewer");
  if (entries.length === 0) return <p className={css.none}>{t("measure.none")}</p>;
  return (
    <ul className={css.list} aria-label={t("measure.list")}>
      {entries.map((entry) => (
        <li key={entry.uid} className={entry.selected ? `${css.entry} ${css.selected}` : css.entry}>
          <button
            type="button"
            className={css.text}
            title={t("measure.go")}
            onClick={() => {
              selectMeasurement(entry.uid);
              onGo(entry);
            }}
          >
            <Icon name={entry.tool as IconName} />
            <span>
              <span className={css.value}>{measurementText(t, entry)}</span>
              <span className={css.place}>{placeText(t, entry, series)}</span>
            </span>
          </button>
          {onInsert !== undefined && (
            <button
              type="button"
              className={css.action}
              onClick={() => onInsert(measurementSentence(t, entry, series))}
            >
              {t("measure.insert")}
            </button>
          )}
          <button
            type="button"
            className={css.action}
            aria-label={t("measure.remove")}
            title={t("measure.remove")}
            onClick={() => removeMeasurement(entry.uid)}
          >
            <Icon name="bin" />
          </button>
        </li>
      ))}
    </ul>
  );
}

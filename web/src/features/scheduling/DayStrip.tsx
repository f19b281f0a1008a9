import { LeftOutlined, RightOutlined } from "@ant-design/icons";
import { Button, DatePicker } from "antd";
import dayjs from "dayjs";
import { useTranslation } from "react-i18next";
import { addDays, shortDay, today } from "@/lib/time";
import css from "./Scheduling.module.css";

interface DayStripProps {
  day: string;
  onChange: (day: string) => void;
  /** First of the seven days shown. */
  first: string;
  count?: ((day: string) => number | undefined) | undefined;
  past?: boolean;
}

export function DayStrip({ day, onChange, first, count, past = false }: DayStripProps) {
  const { t, i18n } = useTranslation("scheduling");
  const now = today();
  return (
    <div className={css.strip} role="group" aria-label={t("day.choose")}>
      <Button icon={<LeftOutlined />} aria-label={t("day.earlier")} disabled={!past && first <= now} onClick={() => onChange(addDays(day, -7) < now && !past ? now : addDays(day, -7))} />
      {Array.from({ length: 7 }, (_, offset) => addDays(first, offset)).map((each) => {
        const free = count?.(each);
        return (
          <button
            key={each}
            type="button"
            className={each === day ? `${css.day} ${css.dayOn}` : css.day}
            aria-pressed={each === day}
            onClick={() => onChange(each)}
          >
            <span>{each === now ? t("common:today") : shortDay(each, i18n.language)}</span>
            {count && <span className={`${css.free} num`}>{free === undefined ? "…" : free > 0 ? t("day.free", { count: free }) : t("day.full")}</span>}
          </button>
        );
      })}
      <Button icon={<RightOutlined />} aria-label={t("day.later")} onClick={() => onChange(addDays(day, 7))} />
      <DatePicker
        value={dayjs(day)}
        allowClear={false}
        aria-label={t("day.choose")}
        minDate={past ? undefined : dayjs(now)}
        onChange={(value) => value && onChange(value.format("YYYY-MM-DD"))}
      />
    </div>
  );
}

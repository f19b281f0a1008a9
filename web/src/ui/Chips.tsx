import type { ReactNode } from "react";
import css from "./Chips.module.css";

export interface Chip<T extends string> {
  value: T;
  label: ReactNode;
  count?: number | string | undefined;
}

/** Filters above a list. One is chosen; arrow keys move, as in a radio group. */
export function Chips<T extends string>({ label, chips, value, onChange }: { label: string; chips: readonly Chip<T>[]; value: T; onChange: (value: T) => void }) {
  return (
    <div className={css.chips} role="radiogroup" aria-label={label}>
      {chips.map((chip, index) => (
        <button
          key={chip.value}
          type="button"
          role="radio"
          aria-checked={chip.value === value}
          tabIndex={chip.value === value ? 0 : -1}
          className={chip.value === value ? `${css.chip} ${css.on}` : css.chip}
          onClick={() => onChange(chip.value)}
          onKeyDown={(event) => {
            const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
            if (step === 0) return;
            event.preventDefault();
            const next = chips[(index + step + chips.length) % chips.length];
            if (!next) return;
            onChange(next.value);
            const group = event.currentTarget.parentElement;
            (group?.children[(index + step + chips.length) % chips.length] as HTMLElement | undefined)?.focus();
          }}
        >
          {chip.label}
          {chip.count !== undefined && <span className={`${css.count} num`}>{chip.count}</span>}
        </button>
      ))}
    </div>
  );
}

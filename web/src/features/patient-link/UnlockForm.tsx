import { useRef, useState, type FormEvent } from "react";
import { useTranslation } from "react-i18next";
import { birthDate, isFull, lastFour, type BirthParts, type Gate } from "./unlock";
import css from "./PatientLink.module.css";

interface Props {
  gate: Gate;
  ended: boolean;
  busy: boolean;
  onUnlock: (birth: string, last4: string) => void;
}

const PARTS: readonly (keyof BirthParts)[] = ["year", "month", "day"];

export function UnlockForm({ gate, ended, busy, onUnlock }: Props) {
  const { t } = useTranslation("patient-link");
  const [birth, setBirth] = useState<BirthParts>({ year: "", month: "", day: "" });
  const [digits, setDigits] = useState("");
  const [wrong, setWrong] = useState<"birth" | "digits" | null>(null);
  const fields = useRef<Partial<Record<keyof BirthParts | "digits", HTMLInputElement | null>>>({});

  const type = (part: keyof BirthParts, text: string): void => {
    const value = text.replace(/\D/g, "").slice(0, part === "year" ? 4 : 2);
    setBirth({ ...birth, [part]: value });
    setWrong(null);
    if (isFull(part, value)) {
      const next = ({ year: "month", month: "day", day: "digits" } as const)[part];
      fields.current[next]?.focus();
    }
  };

  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const date = birthDate(birth);
    const last4 = lastFour(digits);
    if (date === null) {
      setWrong("birth");
      fields.current.year?.focus();
    } else if (last4 === null) {
      setWrong("digits");
      fields.current.digits?.focus();
    } else {
      onUnlock(date, last4);
    }
  };

  return (
    <form className={css.card} onSubmit={submit} noValidate>
      <h1 className={css.heading}>{t("unlock.title")}</h1>
      <p className={css.lead}>{t("unlock.lead")}</p>
      {ended && (
        <p className={css.notice} role="status">
          {t("unlock.ended")}
        </p>
      )}
      {gate !== "form" && (
        <p className={css.warning} role="alert">
          {t(`gate.${gate}`)}
        </p>
      )}
      <fieldset className={css.fieldset} aria-describedby={wrong === "birth" ? "birth-wrong" : undefined}>
        <legend>{t("unlock.birth")}</legend>
        <div className={css.birth}>
          {PARTS.map((part) => (
            <label key={part} className={css.birthPart} data-part={part}>
              <input
                ref={(element) => {
                  fields.current[part] = element;
                }}
                className={css.input}
                inputMode="numeric"
                autoComplete={`bday-${part}`}
                value={birth[part]}
                placeholder={t(`unlock.${part}.example`)}
                aria-invalid={wrong === "birth"}
                onChange={(event) => type(part, event.target.value)}
              />
              <span>{t(`unlock.${part}`)}</span>
            </label>
          ))}
        </div>
        {wrong === "birth" && (
          <p id="birth-wrong" className={css.fieldError}>
            {t("unlock.birth.wrong")}
          </p>
        )}
      </fieldset>
      <label className={css.field}>
        <span>{t("unlock.digits")}</span>
        <input
          ref={(element) => {
            fields.current.digits = element;
          }}
          className={`${css.input} ${css.digits}`}
          autoCapitalize="characters"
          autoComplete="off"
          maxLength={4}
          value={digits}
          aria-invalid={wrong === "digits"}
          aria-describedby="digits-hint"
          onChange={(event) => {
            setDigits(event.target.value);
            setWrong(null);
          }}
        />
        <span id="digits-hint" className={wrong === "digits" ? css.fieldError : css.hint}>
          {t(wrong === "digits" ? "unlock.digits.wrong" : "unlock.digits.hint")}
        </span>
      </label>
      <button type="submit" className={css.primary} disabled={busy}>
        {t(busy ? "unlock.busy" : "unlock.open")}
      </button>
      <p className={css.hint}>{t("unlock.privacy")}</p>
    </form>
  );
}

import { useTranslation } from "react-i18next";
import type { Choice } from "./placeholders";
import css from "./Phrases.module.css";

interface Props {
  choice: Choice;
  at: number;
  onPick: (option: string) => void;
}

/** The words that a marked place offers: a digit or Tab takes one, typing writes another. */
export function ChoiceStrip({ choice, at, onPick }: Props) {
  const { t } = useTranslation("reporting");
  return (
    <div className={css.strip}>
      <ul className={css.stripList} role="listbox" aria-label={choice.name}>
        {choice.options.map((option, index) => (
          <li
            key={option}
            role="option"
            aria-selected={index === at}
            className={index === at ? `${css.stripItem} ${css.stripOn}` : css.stripItem}
            // The field keeps the focus and the mark.
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => onPick(option)}
          >
            {index < 9 && <kbd className={css.code}>{index + 1}</kbd>}
            {option}
          </li>
        ))}
      </ul>
      <p className={css.stripKeys}>{t("template.choice_keys")}</p>
    </div>
  );
}

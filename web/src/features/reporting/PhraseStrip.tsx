import { useTranslation } from "react-i18next";
import type { Phrase } from "@/api/types";
import type { CaseFields } from "./macros";
import { PhraseText } from "./PhraseText";
import css from "./Phrases.module.css";

interface Props {
  id: string;
  phrases: readonly Phrase[];
  at: number;
  fields: CaseFields;
  onPick: (phrase: Phrase) => void;
}

/** What `;letters` calls for, under the text: Tab takes the marked one. The focus stays where one writes. */
export function PhraseStrip({ id, phrases, at, fields, onPick }: Props) {
  const { t } = useTranslation("reporting");
  const current = phrases[at];
  return (
    <div className={css.strip}>
      <ul id={id} className={css.stripList} role="listbox" aria-label={t("phrase.title")}>
        {phrases.map((phrase, index) => (
          <li
            key={phrase.id}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === at}
            className={index === at ? `${css.stripItem} ${css.stripOn}` : css.stripItem}
            // The field keeps the focus and the cursor.
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => onPick(phrase)}
          >
            {phrase.name}
            {phrase.code !== "" && <kbd className={css.code}>{phrase.code}</kbd>}
          </li>
        ))}
      </ul>
      {current !== undefined && (
        <p className={css.stripPreview}>
          <PhraseText text={current.text} fields={fields} />
        </p>
      )}
      <p className={css.stripKeys}>{t("phrase.strip_keys")}</p>
    </div>
  );
}

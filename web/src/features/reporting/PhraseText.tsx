import { pieces, type CaseFields } from "./macros";
import css from "./Phrases.module.css";

/** A phrase as it would stand in the report: filled places are marked, open ones stand out. */
export function PhraseText({ text, fields }: { text: string; fields: CaseFields }) {
  return (
    <span className={css.phraseText}>
      {pieces(text, fields).map((piece, index) =>
        piece.kind === "text" ? (
          piece.text
        ) : (
          <span key={index} className={piece.kind === "filled" ? css.filled : css.open}>
            {piece.text}
          </span>
        ),
      )}
    </span>
  );
}

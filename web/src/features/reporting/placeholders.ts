/** Places of a template that the writer fills in: `{大小}`, `____`, `××`. */
const PLACE = /\{[^{}\n]*\}|_{2,}|＿{2,}|×{2,}|X{2,}|□{2,}/g;

export interface Range {
  readonly start: number;
  readonly end: number;
}

/** The next place at or after `from`; after the last one it begins again at the top. */
export function nextPlaceholder(text: string, from: number): Range | null {
  const places = [...text.matchAll(PLACE)].map((match) => ({ start: match.index, end: match.index + match[0].length }));
  return places.find((place) => place.start >= from) ?? places[0] ?? null;
}

/** A place that offers words: `{密度|实性|磨玻璃}`. */
export interface Choice extends Range {
  readonly name: string;
  readonly options: readonly string[];
}

/** The place that is marked as a whole, if it offers words. */
export function choiceAt(text: string, marked: Range): Choice | null {
  const match = /^\{([^{}\n|]*)\|([^{}\n]*)\}$/.exec(text.slice(marked.start, marked.end));
  if (match === null) return null;
  const options = (match[2] ?? "").split("|").map((option) => option.trim()).filter((option) => option !== "");
  return options.length === 0 ? null : { ...marked, name: (match[1] ?? "").trim(), options };
}

/** Puts a sentence at the cursor with the spacing that prose needs. */
export function insertAt(text: string, at: Range, sentence: string): { text: string; cursor: number } {
  const before = text.slice(0, at.start);
  const after = text.slice(at.end);
  const needsBreak = before !== "" && !/[\s，。；：、,.;:（(]$/u.test(before);
  const inserted = `${needsBreak ? " " : ""}${sentence}`;
  return { text: before + inserted + after, cursor: before.length + inserted.length };
}

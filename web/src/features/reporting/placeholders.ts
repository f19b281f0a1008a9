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

/** Puts a sentence at the cursor with the spacing that prose needs. */
export function insertAt(text: string, at: Range, sentence: string): { text: string; cursor: number } {
  const before = text.slice(0, at.start);
  const after = text.slice(at.end);
  const needsBreak = before !== "" && !/[\s，。；：、,.;:（(]$/u.test(before);
  const inserted = `${needsBreak ? " " : ""}${sentence}`;
  return { text: before + inserted + after, cursor: before.length + inserted.length };
}

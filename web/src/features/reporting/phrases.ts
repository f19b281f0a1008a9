import { queryOptions } from "@tanstack/react-query";
import { api, path } from "@/api/client";
import type { ImportedPhrases, Phrase, PhraseContent } from "@/api/types";

export const phrasesQuery = (deleted = false) =>
  queryOptions({
    queryKey: ["phrases", deleted],
    queryFn: ({ signal }) => api.get<Phrase[]>("/phrases", { query: { deleted: deleted ? true : undefined }, signal }),
    staleTime: deleted ? 0 : 5 * 60_000,
  });

export const phraseCalls = {
  add: (shared: boolean, phrase: PhraseContent) => api.post<Phrase>("/phrases", { shared, phrase }),
  edit: (id: string, version: number, phrase: PhraseContent) => api.put<Phrase>(path`/phrases/${id}`, { version, phrase }),
  remove: (id: string) => api.delete(path`/phrases/${id}`),
  restore: (id: string) => api.post<Phrase>(path`/phrases/${id}/restore`),
  arrange: (shared: boolean, ids: readonly string[]) => api.post("/phrases/order", { shared, ids }),
  importAll: (shared: boolean, phrases: readonly PhraseContent[]) => api.post<ImportedPhrases>("/phrases/import", { shared, phrases }),
};

/** Where a phrase would be used. */
export interface Place {
  readonly modality: string;
  readonly bodyPart: string;
}

/** Whether it suits the exam at hand; others are found too, after these. */
export function fits(phrase: Pick<Phrase, "modality" | "body_part">, place: Place): boolean {
  return (
    (phrase.modality === "" || phrase.modality === place.modality) &&
    (phrase.body_part === "" || phrase.body_part === place.bodyPart)
  );
}

/**
 * Whether letters spell the syllables from `from` on, as one types pinyin: each syllable whole or by its first
 * letters, so `fjj`, `feijj` and `feijiejie` all find `fei jie jie`.
 */
export function spells(syllables: readonly string[], letters: string, from = 0): boolean {
  if (letters === "") return true;
  const syllable = syllables[from];
  if (syllable === undefined) return false;
  for (let take = Math.min(letters.length, syllable.length); take > 0; take--) {
    if (syllable.startsWith(letters.slice(0, take)) && spells(syllables, letters.slice(take), from + 1)) return true;
  }
  return false;
}

/** How well a phrase answers to what was typed: smaller is better, null does not. */
export function answer(phrase: Phrase, typed: string): number | null {
  if (typed === "") return 0;
  const name = phrase.name.toLowerCase();
  if (phrase.code !== "" && phrase.code === typed) return 0;
  if (phrase.code !== "" && phrase.code.startsWith(typed)) return 1;
  if (name.startsWith(typed)) return 2;
  const letters = typed.replace(/[\s']/g, "");
  const syllables = phrase.spelled.split(" ");
  if (spells(syllables, letters)) return 3;
  if (name.includes(typed)) return 4;
  if (syllables.some((_, at) => at > 0 && spells(syllables, letters, at))) return 5;
  return null;
}

interface Search extends Place {
  readonly text: string;
  /** Look into categories and texts as well, which typing in the report does not. */
  readonly whole: boolean;
}

/** The phrases that answer, best first: those that fit the exam, then by how they answer, own before shared. */
export function findPhrases(all: readonly Phrase[], { text, whole, ...place }: Search): Phrase[] {
  const typed = text.trim().toLowerCase();
  const found: { phrase: Phrase; rank: number; at: number }[] = [];
  all.forEach((phrase, at) => {
    const direct = answer(phrase, typed);
    const within = whole && (phrase.category.toLowerCase().includes(typed) || phrase.text.toLowerCase().includes(typed));
    const how = direct ?? (within ? 6 : null);
    if (how === null) return;
    found.push({ phrase, rank: (fits(phrase, place) ? 0 : 100) + how * 2 + (phrase.shared ? 1 : 0), at });
  });
  return found.sort((a, b) => a.rank - b.rank || a.at - b.at).map(({ phrase }) => phrase);
}

export interface Trigger {
  /** From the semicolon to the cursor. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/**
 * `;fjj` before the cursor calls for a phrase. Letters and digits only: after a Chinese semicolon comes prose, and an
 * input method keeps its letters to itself until they are characters.
 */
export function triggerAt(text: string, cursor: number): Trigger | null {
  const match = /[;；]([a-zA-Z0-9]{1,24})$/u.exec(text.slice(0, cursor));
  return match === null ? null : { start: match.index, end: cursor, text: match[1] ?? "" };
}

/** What stands between the text before and a phrase: Latin words need a space, Chinese does not. */
export function joint(before: string, phrase: string): string {
  return /[A-Za-z0-9.,;:)]$/.test(before) && /^[A-Za-z0-9(]/.test(phrase) ? " " : "";
}

export function contentOf(phrase: PhraseContent): PhraseContent {
  const { code, name, category, modality, body_part, section, text } = phrase;
  return { code, name, category, modality, body_part, section, text };
}

const FORMAT = "mingying-phrases";

export function exportText(phrases: readonly Phrase[]): string {
  return `${JSON.stringify({ format: FORMAT, version: 1, phrases: phrases.map(contentOf) }, null, 2)}\n`;
}

/** The phrases of an exported file; null when it is something else. The server judges each phrase. */
export function importText(text: string): PhraseContent[] | null {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof found !== "object" || found === null) return null;
  const { format, version, phrases } = found as Record<string, unknown>;
  if (format !== FORMAT || version !== 1 || !Array.isArray(phrases)) return null;
  const result: PhraseContent[] = [];
  for (const entry of phrases as unknown[]) {
    if (typeof entry !== "object" || entry === null) return null;
    const word = (key: string): string => {
      const value = (entry as Record<string, unknown>)[key];
      return typeof value === "string" ? value : "";
    };
    result.push({
      code: word("code"),
      name: word("name"),
      category: word("category"),
      modality: word("modality"),
      body_part: word("body_part"),
      section: word("section"),
      text: word("text"),
    });
  }
  return result;
}

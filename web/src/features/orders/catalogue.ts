import type { CatalogueItem } from "@/api/types";
import { initials } from "@/lib/pinyin";

interface Entry {
  item: CatalogueItem;
  name: string;
  english: string;
  initials: string;
  code: string;
}
export type CatalogueIndex = readonly Entry[];

export function indexCatalogue(items: readonly CatalogueItem[]): CatalogueIndex {
  return items.map((item) => ({
    item,
    name: item.name.toLowerCase(),
    english: item.name_en.toLowerCase(),
    initials: initials(item.name),
    code: item.code.toLowerCase(),
  }));
}

/** Lower is better; null is no match. Every word must match somewhere. */
function rank(entry: Entry, words: readonly string[]): number | null {
  let total = 0;
  for (const word of words) {
    const score =
      entry.code === word || entry.name === word
        ? 0
        : entry.code.startsWith(word) || entry.initials.startsWith(word) || entry.name.startsWith(word)
          ? 1
          : entry.english.split(/[^a-z0-9]+/).some((part) => part.startsWith(word)) || entry.item.modality.toLowerCase() === word
            ? 2
            : entry.name.includes(word) || entry.initials.includes(word)
              ? 3
              : null;
    if (score === null) return null;
    total += score;
  }
  return total;
}

export function searchCatalogue(index: CatalogueIndex, text: string, limit = 30): CatalogueItem[] {
  const words = text.trim().toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return index.slice(0, limit).map(({ item }) => item);
  const found: { item: CatalogueItem; rank: number; length: number }[] = [];
  for (const entry of index) {
    const score = rank(entry, words);
    if (score !== null) found.push({ item: entry.item, rank: score, length: entry.name.length });
  }
  // Among equals the shorter name is the plainer exam.
  found.sort((a, b) => a.rank - b.rank || a.length - b.length);
  return found.slice(0, limit).map(({ item }) => item);
}

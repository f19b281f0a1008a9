import type { DiffPart } from "@/api/types";

/** Chinese characters one by one, Latin words and numbers whole, spaces and marks apart. */
export function tokens(text: string): string[] {
  return text.match(/[A-Za-z]+|[0-9]+(?:\.[0-9]+)?|\s+|[^\sA-Za-z0-9]/gu) ?? [];
}

const BOUND = 4000;

/**
 * What changed from one text to another, for texts that only this page has (an unsaved
 * draft against a newer one). Differences between stored versions come from the server.
 */
export function diffText(from: string, to: string): DiffPart[] {
  const a = tokens(from);
  const b = tokens(to);
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail])
    tail += 1;
  const parts: DiffPart[] = [];
  push(parts, "equal", a.slice(0, head));
  middle(parts, a.slice(head, a.length - tail), b.slice(head, b.length - tail));
  push(parts, "equal", a.slice(a.length - tail));
  return parts;
}

function push(parts: DiffPart[], op: DiffPart["op"], words: readonly string[]): void {
  if (words.length === 0) return;
  const last = parts.at(-1);
  if (last?.op === op) last.text += words.join("");
  else parts.push({ op, text: words.join("") });
}

/** Longest common subsequence; very long texts are shown as one replacement. */
function middle(parts: DiffPart[], a: readonly string[], b: readonly string[]): void {
  if (a.length * b.length > BOUND * BOUND || a.length === 0 || b.length === 0) {
    push(parts, "delete", a);
    push(parts, "insert", b);
    return;
  }
  const width = b.length + 1;
  const table = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      table[i * width + j] =
        a[i] === b[j]
          ? (table[(i + 1) * width + j + 1] ?? 0) + 1
          : Math.max(table[(i + 1) * width + j] ?? 0, table[i * width + j + 1] ?? 0);
    }
  }
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    const left = a[i] ?? "";
    const right = b[j] ?? "";
    if (left === right) {
      push(parts, "equal", [left]);
      i += 1;
      j += 1;
    } else if ((table[(i + 1) * width + j] ?? 0) >= (table[i * width + j + 1] ?? 0)) {
      push(parts, "delete", [left]);
      i += 1;
    } else {
      push(parts, "insert", [right]);
      j += 1;
    }
  }
  push(parts, "delete", a.slice(i));
  push(parts, "insert", b.slice(j));
}

export function changedParts(parts: readonly DiffPart[]): number {
  return parts.filter((part) => part.op !== "equal").length;
}

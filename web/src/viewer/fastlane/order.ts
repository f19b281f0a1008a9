/**
 * The order in which the server sends frames: from the start outwards, the preceding
 * frame first, then the following one; past one end only the other side remains.
 */
export function outwardPosition(start: number, index: number, frames: number): number {
  const distance = Math.abs(index - start);
  const near = Math.min(start, frames - 1 - start);
  if (distance <= near) {
    return index < start ? distance * 2 - 1 : distance * 2;
  }
  return near + distance;
}

/** The wanted frame that is nearest to `target`, or null when all are there. */
export function nearestMissing(
  target: number,
  frames: number,
  reach: number,
  has: (index: number) => boolean,
): number | null {
  for (let distance = 0; distance <= reach; distance += 1) {
    const after = target + distance;
    if (after < frames && !has(after)) {
      return after;
    }
    const before = target - distance;
    if (before >= 0 && !has(before)) {
      return before;
    }
    if (after >= frames && before < 0) {
      return null;
    }
  }
  return null;
}

/** The frames in the order in which the server sends them. */
export function* outwards(start: number, frames: number): Generator<number, void> {
  if (start < frames) yield start;
  for (let distance = 1; distance < frames; distance += 1) {
    if (start - distance >= 0) yield start - distance;
    if (start + distance < frames) yield start + distance;
  }
}

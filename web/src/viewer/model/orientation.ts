/**
 * Side letters at the edges of an image (PS3.3 C.7.6.1.1.1 gives the patient axes:
 * +x to the left, +y to the back, +z to the head).
 */
export type Vector = readonly [number, number, number];
export type Cosines = readonly [number, number, number, number, number, number];

export interface SideLetters {
  readonly left: string;
  readonly right: string;
  readonly top: string;
  readonly bottom: string;
}

/** Below this share of the direction, an axis is not named: 0.087 is sin 5 degrees. */
const NEGLIGIBLE = 0.087;

/** The letters of a direction, the strongest axis first: up to three for oblique planes. */
export function directionLetters(direction: Vector): string {
  const axes: { letter: string; weight: number }[] = [
    { letter: direction[0] < 0 ? "R" : "L", weight: Math.abs(direction[0]) },
    { letter: direction[1] < 0 ? "A" : "P", weight: Math.abs(direction[1]) },
    { letter: direction[2] < 0 ? "F" : "H", weight: Math.abs(direction[2]) },
  ];
  return axes
    .filter((axis) => axis.weight > NEGLIGIBLE)
    .sort((a, b) => b.weight - a.weight)
    .map((axis) => axis.letter)
    .join("");
}

export function opposite(letters: string): string {
  const other: Record<string, string> = { L: "R", R: "L", A: "P", P: "A", H: "F", F: "H" };
  return [...letters].map((letter) => other[letter] ?? letter).join("");
}

/**
 * The letters at the four edges, from what the screen's right and down directions are in
 * the patient. Taken from the drawn picture, so they stay true under any rotation, mirror
 * or combination of both.
 */
export function sideLetters(right: Vector, down: Vector): SideLetters {
  const x = unit(right);
  const y = unit(down);
  const rightLetters = directionLetters(x);
  const bottomLetters = directionLetters(y);
  return {
    right: rightLetters,
    left: opposite(rightLetters),
    bottom: bottomLetters,
    top: opposite(bottomLetters),
  };
}

function unit(vector: Vector): Vector {
  const length = Math.hypot(...vector);
  return length === 0 ? [0, 0, 0] : [vector[0] / length, vector[1] / length, vector[2] / length];
}

/** True when the picture is seen as in a mirror: rows x columns no longer point away from the reader. */
export function isMirrored(orientation: Cosines, right: Vector, down: Vector): boolean {
  const [a, b, c, d, e, f] = orientation;
  const stored: Vector = [b * f - c * e, c * d - a * f, a * e - b * d];
  const shown: Vector = [
    right[1] * down[2] - right[2] * down[1],
    right[2] * down[0] - right[0] * down[2],
    right[0] * down[1] - right[1] * down[0],
  ];
  return stored[0] * shown[0] + stored[1] * shown[1] + stored[2] * shown[2] < 0;
}

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

export interface Turn {
  /** Clockwise on screen, in degrees; any value, rounded to quarter turns for letters. */
  readonly rotation: number;
  readonly flipHorizontal: boolean;
  readonly flipVertical: boolean;
}

/**
 * The letters at the four edges of the screen. The image is first mirrored, then
 * rotated: so the rotation is undone first when looking up what an edge shows.
 */
export function sideLetters(orientation: Cosines | null, turn: Turn): SideLetters | null {
  if (orientation === null) {
    return null;
  }
  const row: Vector = [orientation[0], orientation[1], orientation[2]];
  const column: Vector = [orientation[3], orientation[4], orientation[5]];
  const angle = (-turn.rotation * Math.PI) / 180;
  const at = (x: number, y: number): string => {
    let ix = x * Math.cos(angle) - y * Math.sin(angle);
    let iy = x * Math.sin(angle) + y * Math.cos(angle);
    if (turn.flipHorizontal) {
      ix = -ix;
    }
    if (turn.flipVertical) {
      iy = -iy;
    }
    return directionLetters([row[0] * ix + column[0] * iy, row[1] * ix + column[1] * iy, row[2] * ix + column[2] * iy]);
  };
  return { right: at(1, 0), left: at(-1, 0), bottom: at(0, 1), top: at(0, -1) };
}

/** The plane of a cross-sectional image by its normal, for the series caption. */
export function planeOf(orientation: Cosines | null): "axial" | "coronal" | "sagittal" | null {
  if (orientation === null) {
    return null;
  }
  const [a, b, c, d, e, f] = orientation;
  const normal = [Math.abs(b * f - c * e), Math.abs(c * d - a * f), Math.abs(a * e - b * d)] as const;
  const largest = Math.max(...normal);
  if (largest < 0.5) {
    return null;
  }
  return largest === normal[2] ? "axial" : largest === normal[1] ? "coronal" : "sagittal";
}

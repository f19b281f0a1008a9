/** Window presets by modality; the order is the number key, 1 to 9. */
export interface WindowPreset {
  readonly id: string;
  readonly center: number;
  readonly width: number;
}

const CT: readonly WindowPreset[] = [
  { id: "soft_tissue", center: 40, width: 400 },
  { id: "lung", center: -600, width: 1500 },
  { id: "bone", center: 480, width: 2500 },
  { id: "brain", center: 40, width: 80 },
  { id: "mediastinum", center: 50, width: 350 },
  { id: "abdomen", center: 60, width: 400 },
  { id: "liver", center: 90, width: 150 },
  { id: "subdural", center: 75, width: 215 },
  { id: "angio", center: 300, width: 600 },
];

/**
 * Outside CT the numbers have no common scale: presets are parts of the range of
 * values that the header's own window covers (1 is the header's window itself).
 */
const RELATIVE: readonly { id: string; width: number; shift: number }[] = [
  { id: "header", width: 1, shift: 0 },
  { id: "contrast_high", width: 0.6, shift: 0 },
  { id: "contrast_low", width: 1.6, shift: 0 },
  { id: "brighter", width: 1, shift: -0.2 },
  { id: "darker", width: 1, shift: 0.2 },
];

export interface HeaderWindow {
  readonly center: number;
  readonly width: number;
}

export function presetsFor(modality: string, header: HeaderWindow | null): WindowPreset[] {
  if (modality === "CT") {
    return [...CT];
  }
  if (header === null || header.width <= 0) {
    return [];
  }
  return RELATIVE.map((preset) => ({
    id: preset.id,
    center: header.center + preset.shift * header.width,
    width: header.width * preset.width,
  }));
}

/** The preset of a number key, or null when the modality has none there. */
export function presetByKey(modality: string, key: number, header: HeaderWindow | null): WindowPreset | null {
  return presetsFor(modality, header)[key - 1] ?? null;
}

/** PS3.3 C.11.2.1.2.1: the linear window as lower and upper bound of the values shown. */
export function windowRange(center: number, width: number): { lower: number; upper: number } {
  const bounded = Math.max(1, width);
  return {
    lower: center - 0.5 - (bounded - 1) / 2,
    upper: center - 0.5 + (bounded - 1) / 2,
  };
}

export function windowOf(lower: number, upper: number): HeaderWindow {
  return { width: upper - lower + 1, center: (lower + upper + 1) / 2 };
}

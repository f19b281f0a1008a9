/**
 * The series manifest of the fast lane: everything that the viewer needs to draw the
 * frames of one series, in one small request instead of full DICOM JSON.
 */
export interface ManifestInstance {
  sop_uid: string;
  number: number | null;
  frames: number;
  rows: number;
  columns: number;
  bits_allocated: number;
  bits_stored: number;
  high_bit: number;
  signed: boolean;
  samples: number;
  photometric: string;
  slope: number | null;
  intercept: number | null;
  window_center: number[] | null;
  window_width: number[] | null;
  /** Row spacing first, then column spacing, in mm (PS3.3 10.7.1.3). */
  pixel_spacing: [number, number] | null;
  position: [number, number, number] | null;
  orientation: [number, number, number, number, number, number] | null;
  frame_time: number | null;
  thickness: number | null;
  /** Planar Configuration (0028,0006): colour planes one after the other. */
  planar: boolean | number | null;
  /** Where it is not the manifest's. */
  transfer_syntax?: string;
  /** One per frame, where the frames of one object lie at different places. */
  frame_positions?: ([number, number, number] | null)[];
}

export interface Manifest {
  transfer_syntax: string;
  instances: ManifestInstance[];
}

/** One displayable frame: an instance of the series and the frame inside it. */
export interface FrameRef {
  readonly index: number;
  readonly frame: number;
  readonly instance: ManifestInstance;
  readonly position: [number, number, number] | null;
  readonly transferSyntax: string;
}

/** The global frame numbering of the stream: instances in manifest order, frames inside. */
export function listFrames(manifest: Manifest): FrameRef[] {
  const frames: FrameRef[] = [];
  for (const instance of manifest.instances) {
    for (let frame = 0; frame < Math.max(1, instance.frames); frame += 1) {
      frames.push({
        index: frames.length,
        frame,
        instance,
        position: instance.frame_positions?.[frame] ?? instance.position,
        transferSyntax: instance.transfer_syntax ?? manifest.transfer_syntax,
      });
    }
  }
  return frames;
}

export function frameBytes(instance: ManifestInstance): number {
  const bits = instance.rows * instance.columns * instance.samples * instance.bits_allocated;
  return Math.ceil(bits / 8);
}

/**
 * No lossless codec grows a frame beyond a small factor; this only stops a damaged
 * length field from allocating gigabytes.
 */
export function maxFrameBytes(manifest: Manifest): number {
  let largest = 0;
  for (const instance of manifest.instances) {
    largest = Math.max(largest, frameBytes(instance));
  }
  return largest * 2 + 65536;
}

const NATIVE = new Set(["1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"]);

/** Native little or big endian pixels: no codec is needed. */
export function isNative(transferSyntax: string): boolean {
  return NATIVE.has(transferSyntax);
}

export function isBigEndian(transferSyntax: string): boolean {
  return transferSyntax === "1.2.840.10008.1.2.2";
}

const LOSSY = new Set([
  "1.2.840.10008.1.2.4.50",
  "1.2.840.10008.1.2.4.51",
  "1.2.840.10008.1.2.4.81",
  "1.2.840.10008.1.2.4.91",
  "1.2.840.10008.1.2.4.203",
  "1.2.840.10008.1.2.4.112",
]);

/**
 * Syntaxes that are, or may be, irreversibly compressed: the reader must see a mark
 * (PS3.3 C.7.6.1.1.5). J2K 4.91 and HTJ2K 4.203 allow both; they are marked.
 */
export function mayBeLossy(transferSyntax: string): boolean {
  return LOSSY.has(transferSyntax);
}

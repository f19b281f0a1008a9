import type { SentManifest } from "@/api";

/**
 * What the viewer needs to draw the images of one series, in a small fraction of its
 * DICOM JSON.
 */
export interface ManifestInstance {
  sop_uid: string;
  /** Of the frames as they come: of the stored ones, or of their HTJ2K sibling. */
  transfer_syntax: string;
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
  /** One per frame, where the frames of one object lie at different places. */
  frame_positions?: ([number, number, number] | null)[];
}

export interface Manifest {
  instances: ManifestInstance[];
}

const ABSENT: ManifestInstance = {
  sop_uid: "",
  transfer_syntax: "",
  number: null,
  frames: 0,
  rows: 0,
  columns: 0,
  bits_allocated: 8,
  bits_stored: 8,
  high_bit: 7,
  signed: false,
  samples: 1,
  photometric: "",
  slope: null,
  intercept: null,
  window_center: null,
  window_width: null,
  pixel_spacing: null,
  position: null,
  orientation: null,
  frame_time: null,
  thickness: null,
  planar: null,
};

/** The server tells once what all instances have in common, and what is absent not at all. */
export function readManifest(sent: SentManifest): Manifest {
  return { instances: sent.instances.map((own) => ({ ...ABSENT, ...sent.shared, ...own }) as ManifestInstance) };
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
        transferSyntax: instance.transfer_syntax,
      });
    }
  }
  return frames;
}

/** Finds a frame by what it is called everywhere. */
export function indexOfFrames(refs: readonly FrameRef[]): (sopUid: string, frame: number) => number | undefined {
  const firsts = new Map<string, { index: number; frames: number }>();
  for (const ref of refs) {
    if (ref.frame === 0) {
      firsts.set(ref.instance.sop_uid, { index: ref.index, frames: Math.max(1, ref.instance.frames) });
    }
  }
  return (sopUid, frame) => {
    const first = firsts.get(sopUid);
    return first === undefined || frame >= first.frames ? undefined : first.index + frame;
  };
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

/**
 * HTJ2K Lossless RPCL, in which the server keeps a second form of native images, smaller
 * to send. Who cannot draw it asks for the stored form.
 */
export const SIBLING = "1.2.840.10008.1.2.4.202";

const HTJ2K = new Set(["1.2.840.10008.1.2.4.201", SIBLING, "1.2.840.10008.1.2.4.203"]);

export function isHtj2k(transferSyntax: string): boolean {
  return HTJ2K.has(transferSyntax);
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

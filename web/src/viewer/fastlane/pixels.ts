import type { ManifestInstance } from "./manifest";

export type GreyPixels = Uint8Array | Int16Array | Uint16Array | Float32Array;

export interface Grey {
  readonly pixels: GreyPixels;
  readonly min: number;
  readonly max: number;
}

/**
 * Native grey pixels to display values (stored value x slope + intercept) in one pass,
 * with the minimum and the maximum. The target type is the smallest that holds every
 * value that BitsStored allows, so that all frames of a series share it and textures
 * are reused.
 */
export function greyFromNative(bytes: Uint8Array<ArrayBuffer>, instance: ManifestInstance, bigEndian: boolean): Grey {
  const count = instance.rows * instance.columns;
  const source = storedValues(bytes, instance, bigEndian, count);
  return rescale(source, instance, count);
}

export type StoredPixels = Uint8Array | Int8Array | Uint16Array | Int16Array | Uint32Array | Int32Array;

function storedValues(
  bytes: Uint8Array<ArrayBuffer>,
  instance: ManifestInstance,
  bigEndian: boolean,
  count: number,
): StoredPixels {
  if (instance.bits_allocated === 1) {
    return unpackBits(bytes, count);
  }
  if (instance.bits_allocated <= 8) {
    const usable = bytes.subarray(0, count);
    return instance.signed ? new Int8Array(usable.buffer, usable.byteOffset, usable.length) : usable;
  }
  const width = instance.bits_allocated / 8;
  const aligned = bytes.byteOffset % width === 0 ? bytes : bytes.slice();
  if (bigEndian) {
    swap(aligned, width);
  }
  const length = Math.min(count, Math.floor(aligned.byteLength / width));
  if (width === 4) {
    return instance.signed
      ? new Int32Array(aligned.buffer, aligned.byteOffset, length)
      : new Uint32Array(aligned.buffer, aligned.byteOffset, length);
  }
  return instance.signed
    ? new Int16Array(aligned.buffer, aligned.byteOffset, length)
    : new Uint16Array(aligned.buffer, aligned.byteOffset, length);
}

/** Bit-packed pixels, least significant bit first (PS3.5 8.1.1). */
function unpackBits(bytes: Uint8Array, count: number): Uint8Array {
  const out = new Uint8Array(count);
  for (let i = 0; i < count; i += 1) {
    out[i] = ((bytes[i >> 3] ?? 0) >> (i & 7)) & 1;
  }
  return out;
}

function swap(bytes: Uint8Array, width: number): void {
  for (let at = 0; at + width <= bytes.length; at += width) {
    bytes.subarray(at, at + width).reverse();
  }
}

/** The range of values that BitsStored and the sign allow. */
export function storedRange(instance: Pick<ManifestInstance, "bits_stored" | "signed">): [number, number] {
  const bits = Math.max(1, instance.bits_stored);
  return instance.signed ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] : [0, 2 ** bits - 1];
}

export function rescale(source: ArrayLike<number>, instance: ManifestInstance, count: number): Grey {
  const slope = instance.slope === null || instance.slope === 0 ? 1 : instance.slope;
  const intercept = instance.intercept ?? 0;
  const [low, high] = storedRange(instance);
  const a = low * slope + intercept;
  const b = high * slope + intercept;
  const integral = Number.isInteger(slope) && Number.isInteger(intercept);
  const length = Math.min(count, source.length);
  const up = 31 - Math.min(31, instance.high_bit);
  const down = 32 - Math.min(32, instance.bits_stored);
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  // Bits above BitsStored may carry overlays or noise (PS3.5 8.1.1): they are cut off,
  // and signed values are extended from HighBit. Only done when there are such bits.
  const trim = instance.bits_stored < instance.bits_allocated && instance.bits_allocated > 1;
  const signed = instance.signed;
  let lowest = Math.min(a, b);
  let highest = Math.max(a, b);
  if (integral && (lowest < -32768 || highest > 65535 || (lowest < 0 && highest > 32767))) {
    // 16 stored bits with an intercept overflow the 16-bit types in theory only: look at
    // the real values before paying twice the memory for floats.
    const actual = range(source, length, trim, signed, up, down);
    lowest = Math.min(actual[0] * slope, actual[1] * slope) + intercept;
    highest = Math.max(actual[0] * slope, actual[1] * slope) + intercept;
  }
  const out = allocate(integral, lowest, highest, count);
  for (let i = 0; i < length; i += 1) {
    let value = source[i] as number;
    if (trim) {
      value = signed ? (value << up) >> down : (value << up) >>> down;
    }
    value = value * slope + intercept;
    out[i] = value;
    if (value < min) {
      min = value;
    }
    if (value > max) {
      max = value;
    }
  }
  return length === 0 ? { pixels: out, min: 0, max: 0 } : { pixels: out, min, max };
}

function range(
  source: ArrayLike<number>,
  length: number,
  trim: boolean,
  signed: boolean,
  up: number,
  down: number,
): [number, number] {
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < length; i += 1) {
    let value = source[i] as number;
    if (trim) {
      value = signed ? (value << up) >> down : (value << up) >>> down;
    }
    if (value < min) {
      min = value;
    }
    if (value > max) {
      max = value;
    }
  }
  return length === 0 ? [0, 0] : [min, max];
}

function allocate(integral: boolean, low: number, high: number, count: number): GreyPixels {
  if (integral && low >= 0 && high <= 255) {
    return new Uint8Array(count);
  }
  if (integral && low >= -32768 && high <= 32767) {
    return new Int16Array(count);
  }
  if (integral && low >= 0 && high <= 65535) {
    return new Uint16Array(count);
  }
  return new Float32Array(count);
}

/**
 * Native colour pixels to interleaved RGB or RGBA (the CPU renderer wants RGBA, the
 * GPU renderer RGB). YBR is converted with the ITU-R BT.601 matrix of PS3.3 C.7.6.3.1.2.
 */
export function colourFromNative(bytes: Uint8Array, instance: ManifestInstance, rgba: boolean): Uint8Array {
  const count = instance.rows * instance.columns;
  const step = rgba ? 4 : 3;
  const out = new Uint8Array(count * step);
  const photometric = instance.photometric;
  const wide = instance.bits_allocated > 8 ? 2 : 1;
  const high = wide === 2 ? Math.max(0, instance.bits_stored - 8) : 0;
  const planar = instance.planar === true || instance.planar === 1;
  const at = (sample: number): number =>
    wide === 1
      ? (bytes[sample] ?? 0)
      : (((bytes[sample * 2] ?? 0) | ((bytes[sample * 2 + 1] ?? 0) << 8)) >> high) & 255;
  const subsampled = photometric === "YBR_FULL_422" && bytes.length < count * 3 * wide;
  const ybr = photometric.startsWith("YBR_FULL");
  for (let i = 0; i < count; i += 1) {
    let r: number;
    let g: number;
    let b: number;
    if (subsampled) {
      // Two pixels share one pair of chroma samples: Y1 Y2 CB CR (PS3.3 C.7.6.3.1.2).
      const group = (i >> 1) * 4;
      r = at(group + (i & 1));
      g = at(group + 2);
      b = at(group + 3);
    } else if (planar) {
      r = at(i);
      g = at(count + i);
      b = at(2 * count + i);
    } else {
      r = at(i * 3);
      g = at(i * 3 + 1);
      b = at(i * 3 + 2);
    }
    const o = i * step;
    if (ybr) {
      const cb = g - 128;
      const cr = b - 128;
      out[o] = clamp(r + 1.402 * cr);
      out[o + 1] = clamp(r - 0.344136 * cb - 0.714136 * cr);
      out[o + 2] = clamp(r + 1.772 * cb);
    } else {
      out[o] = r;
      out[o + 1] = g;
      out[o + 2] = b;
    }
    if (rgba) {
      out[o + 3] = 255;
    }
  }
  return out;
}

function clamp(value: number): number {
  return value < 0 ? 0 : value > 255 ? 255 : Math.round(value);
}

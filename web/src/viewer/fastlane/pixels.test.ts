import { describe, expect, it } from "vitest";
import type { ManifestInstance } from "./manifest";
import { colourFromNative, greyFromNative } from "./pixels";

const BASE: ManifestInstance = {
  sop_uid: "1.2",
  transfer_syntax: "1.2.840.10008.1.2.1",
  number: 1,
  frames: 1,
  rows: 1,
  columns: 4,
  bits_allocated: 16,
  bits_stored: 16,
  high_bit: 15,
  signed: false,
  samples: 1,
  photometric: "MONOCHROME2",
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

function bytes(values: readonly number[]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(values.length * 2));
  values.forEach((value, at) => view.setUint16(at * 2, value & 0xffff, true));
  return new Uint8Array(view.buffer);
}

describe("greyFromNative", () => {
  it("rescales unsigned CT values to HU in 16 bits", () => {
    const grey = greyFromNative(
      bytes([0, 1024, 2048, 4095]),
      { ...BASE, bits_stored: 12, high_bit: 11, slope: 1, intercept: -1024 },
      false,
    );
    expect(grey.pixels).toBeInstanceOf(Int16Array);
    expect([...grey.pixels]).toEqual([-1024, 0, 1024, 3071]);
    expect([grey.min, grey.max]).toEqual([-1024, 3071]);
  });

  it("cuts off bits above the stored ones and extends the sign", () => {
    const signed = greyFromNative(
      bytes([0xf800, 0x0fff, 0xf7ff, 1]),
      { ...BASE, bits_stored: 12, high_bit: 11, signed: true },
      false,
    );
    expect([...signed.pixels]).toEqual([-2048, -1, 2047, 1]);
    const unsigned = greyFromNative(
      bytes([0xf800, 0x0fff, 0xf7ff, 1]),
      { ...BASE, bits_stored: 12, high_bit: 11 },
      false,
    );
    expect([...unsigned.pixels]).toEqual([0x800, 0xfff, 0x7ff, 1]);
  });

  it("reads values that do not start at bit 0", () => {
    const grey = greyFromNative(bytes([0xfff0, 0x0010, 0x8000, 0]), { ...BASE, bits_stored: 12, high_bit: 15 }, false);
    expect([...grey.pixels]).toEqual([0xfff, 1, 0x800, 0]);
  });

  it("stays in 16 bits when only the theory overflows, and uses floats when values do", () => {
    const fits = greyFromNative(bytes([0, 1000, 2000, 3000]), { ...BASE, slope: 1, intercept: -1024 }, false);
    expect(fits.pixels).toBeInstanceOf(Int16Array);
    const wide = greyFromNative(bytes([0, 1000, 2000, 65_535]), { ...BASE, slope: 1, intercept: -1024 }, false);
    expect(wide.pixels).toBeInstanceOf(Float32Array);
    expect([...wide.pixels]).toEqual([-1024, -24, 976, 64_511]);
  });

  it("keeps fractions of a slope", () => {
    const grey = greyFromNative(bytes([0, 1, 2, 3]), { ...BASE, slope: 0.5, intercept: 0 }, false);
    expect([...grey.pixels]).toEqual([0, 0.5, 1, 1.5]);
  });

  it("reads big endian and bit-packed pixels", () => {
    const big = greyFromNative(Uint8Array.of(0, 1, 1, 0, 0, 2, 2, 0), BASE, true);
    expect([...big.pixels]).toEqual([1, 256, 2, 512]);
    const packed = greyFromNative(
      Uint8Array.of(0b1010),
      { ...BASE, bits_allocated: 1, bits_stored: 1, high_bit: 0 },
      false,
    );
    expect([...packed.pixels]).toEqual([0, 1, 0, 1]);
  });

  it("fills what a short frame does not have", () => {
    const grey = greyFromNative(bytes([5, 6]), BASE, false);
    expect([...grey.pixels]).toEqual([5, 6, 0, 0]);
  });
});

describe("colourFromNative", () => {
  const colour: ManifestInstance = {
    ...BASE,
    columns: 2,
    samples: 3,
    bits_allocated: 8,
    bits_stored: 8,
    high_bit: 7,
    photometric: "RGB",
    planar: 0,
  };

  it("interleaves planes and adds alpha", () => {
    const planes = Uint8Array.of(1, 2, 3, 4, 5, 6);
    expect([...colourFromNative(planes, { ...colour, planar: 1 }, true)]).toEqual([1, 3, 5, 255, 2, 4, 6, 255]);
    expect([...colourFromNative(planes, colour, false)]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it("converts YBR_FULL and its 4:2:2 form", () => {
    const grey = Uint8Array.of(100, 128, 128, 200, 128, 128);
    expect([...colourFromNative(grey, { ...colour, photometric: "YBR_FULL" }, false)]).toEqual([
      100, 100, 100, 200, 200, 200,
    ]);
    const halved = Uint8Array.of(100, 200, 128, 255);
    const out = colourFromNative(halved, { ...colour, photometric: "YBR_FULL_422" }, false);
    expect([out[0], out[3]]).toEqual([255, 255]);
    expect(out[2]).toBe(100);
  });
});

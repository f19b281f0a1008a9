import { describe, expect, it } from "vitest";
import { FrameStreamError, FrameStreamParser, type StreamedFrame } from "./stream";

function encode(frames: readonly { index: number; bytes: number[] }[]): Uint8Array {
  const parts = frames.flatMap(({ index, bytes }) => {
    const header = new DataView(new ArrayBuffer(8));
    header.setUint32(0, index, true);
    header.setUint32(4, bytes.length, true);
    return [...new Uint8Array(header.buffer), ...bytes];
  });
  return Uint8Array.from(parts);
}

const FRAMES = [
  { index: 300, bytes: [1, 2, 3, 4, 5] },
  { index: 0, bytes: [] },
  { index: 301, bytes: [255] },
  { index: 65_537, bytes: [9, 8, 7] },
];
const LIMITS = { frames: 70_000, maxFrameBytes: 16 };

function parse(chunks: readonly Uint8Array[]): { index: number; bytes: number[] }[] {
  const parser = new FrameStreamParser(LIMITS);
  const out: StreamedFrame[] = [];
  for (const chunk of chunks) parser.push(chunk, (frame) => out.push(frame));
  parser.end();
  return out.map(({ index, bytes }) => ({ index, bytes: [...bytes] }));
}

describe("FrameStreamParser", () => {
  const whole = encode(FRAMES);

  it("reads frames wherever the stream is cut once", () => {
    for (let at = 0; at <= whole.length; at += 1) {
      expect(parse([whole.subarray(0, at), whole.subarray(at)])).toEqual(FRAMES);
    }
  });

  it("reads frames wherever the stream is cut twice", () => {
    for (let a = 0; a <= whole.length; a += 1) {
      for (let b = a; b <= whole.length; b += 1) {
        expect(parse([whole.subarray(0, a), whole.subarray(a, b), whole.subarray(b)])).toEqual(FRAMES);
      }
    }
  });

  it("reads frames byte by byte", () => {
    expect(parse([...whole].map((byte) => Uint8Array.of(byte)))).toEqual(FRAMES);
  });

  it("gives each frame a buffer of its own", () => {
    const chunk = whole.slice();
    const parser = new FrameStreamParser(LIMITS);
    const out: StreamedFrame[] = [];
    parser.push(chunk, (frame) => out.push(frame));
    chunk.fill(0);
    expect([...(out[0]?.bytes ?? [])]).toEqual([1, 2, 3, 4, 5]);
    expect(out[0]?.bytes.byteLength).toBe(out[0]?.bytes.buffer.byteLength);
  });

  it("says that a stream was cut off inside a header or a frame", () => {
    for (const length of [1, 7, 8, 12]) {
      const parser = new FrameStreamParser(LIMITS);
      parser.push(whole.subarray(0, length), () => undefined);
      expect(() => parser.end()).toThrow(FrameStreamError);
    }
  });

  it("refuses lengths and indices that cannot be", () => {
    const small = new FrameStreamParser({ frames: 70_000, maxFrameBytes: 4 });
    expect(() => small.push(whole, () => undefined)).toThrow("viewer.stream_oversized");
    const few = new FrameStreamParser({ frames: 300, maxFrameBytes: 16 });
    expect(() => few.push(whole, () => undefined)).toThrow("viewer.stream_index");
  });
});

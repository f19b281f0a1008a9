import { describe, expect, it } from "vitest";
import { encodeFrame, FrameStreamError, FrameStreamParser, type StreamedFrame } from "./stream";

const FRAMES = [
  { sopUid: "1.2.300", frame: 0, transferSyntax: "1.2.840.10008.1.2.1", bytes: [1, 2, 3, 4, 5] },
  { sopUid: "1.2.4", frame: 7, transferSyntax: "", bytes: [] },
  { sopUid: "1.2.unknown", frame: 0, transferSyntax: "1.2", bytes: [6, 6, 6] },
  { sopUid: "1.2.4", frame: 1, transferSyntax: "1.2.840.10008.1.2.4.202", bytes: [255] },
];
const KNOWN = [FRAMES[0], FRAMES[1], FRAMES[3]];
const PLACES = new Map([
  ["1.2.300/0", 300],
  ["1.2.4/7", 0],
  ["1.2.4/1", 65_537],
]);
const LIMITS = {
  frames: 70_000,
  maxFrameBytes: 16,
  indexOf: (sopUid: string, frame: number) => PLACES.get(`${sopUid}/${frame}`),
};

function encode(frames: typeof FRAMES): Uint8Array {
  return Uint8Array.from(
    frames.flatMap((one) => [...encodeFrame(one.sopUid, one.frame, one.transferSyntax, Uint8Array.from(one.bytes))]),
  );
}

const EXPECTED = KNOWN.map((one) => ({
  index: PLACES.get(`${one?.sopUid}/${one?.frame}`),
  transferSyntax: one?.transferSyntax,
  bytes: one?.bytes,
}));

function parse(chunks: readonly Uint8Array[]): { index: number; transferSyntax: string; bytes: number[] }[] {
  const parser = new FrameStreamParser(LIMITS);
  const out: StreamedFrame[] = [];
  for (const chunk of chunks) parser.push(chunk, (frame) => out.push(frame));
  parser.end();
  return out.map(({ index, transferSyntax, bytes }) => ({ index, transferSyntax, bytes: [...bytes] }));
}

describe("FrameStreamParser", () => {
  const whole = encode(FRAMES);

  it("reads frames wherever the stream is cut once", () => {
    for (let at = 0; at <= whole.length; at += 1) {
      expect(parse([whole.subarray(0, at), whole.subarray(at)])).toEqual(EXPECTED);
    }
  });

  it("reads frames wherever the stream is cut twice", () => {
    for (let a = 0; a <= whole.length; a += 1) {
      for (let b = a; b <= whole.length; b += 1) {
        expect(parse([whole.subarray(0, a), whole.subarray(a, b), whole.subarray(b)])).toEqual(EXPECTED);
      }
    }
  });

  it("reads frames byte by byte", () => {
    expect(parse([...whole].map((byte) => Uint8Array.of(byte)))).toEqual(EXPECTED);
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

  it("says that a stream was cut off inside a head, a frame, or one that is skipped", () => {
    const second = encode(FRAMES.slice(0, 2)).length;
    for (const length of [1, 15, 16, 30, 45, second + 3, second + 16 + 11 + 3 + 1]) {
      const parser = new FrameStreamParser(LIMITS);
      parser.push(whole.subarray(0, length), () => undefined);
      expect(() => parser.end(), String(length)).toThrow(FrameStreamError);
    }
  });

  it("refuses lengths that cannot be", () => {
    const small = new FrameStreamParser({ ...LIMITS, maxFrameBytes: 4 });
    expect(() => small.push(whole, () => undefined)).toThrow("viewer.stream_oversized");
    const long = encodeFrame("1".repeat(65), 0, "1.2", new Uint8Array(1));
    expect(() => new FrameStreamParser(LIMITS).push(long, () => undefined)).toThrow("viewer.stream_oversized");
  });
});

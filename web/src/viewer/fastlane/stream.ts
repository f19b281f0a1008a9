/**
 * Parser of the viewer's fast lane: one response body carries many frames. Each is
 * preceded by four numbers, 32 bits little endian: its number in the instance, the
 * lengths of its bytes, of the SOP instance UID and of the transfer syntax UID; then
 * come the two UIDs and the bytes in that transfer syntax. Chunks arrive cut at
 * arbitrary positions; every frame's bytes are copied exactly once, into a buffer of
 * the frame's own size.
 */
export interface StreamedFrame {
  /** Its place in the series. */
  readonly index: number;
  readonly transferSyntax: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export class FrameStreamError extends Error {
  constructor(readonly code: "viewer.stream_oversized" | "viewer.stream_truncated") {
    super(code);
    this.name = "FrameStreamError";
  }
}

export interface StreamLimits {
  /** Number of frames in the series. */
  readonly frames: number;
  /** Upper bound of one frame, so that a damaged length cannot allocate without end. */
  readonly maxFrameBytes: number;
  /** The place of a frame in the series; undefined for one that came after the manifest. */
  indexOf(sopUid: string, frame: number): number | undefined;
}

const NUMBERS = 16;
/** PS3.5 9.1. */
const MAX_UID = 64;
const ASCII = new TextDecoder("latin1");

export class FrameStreamParser {
  /** The numbers, and behind them the UIDs. */
  private readonly head = new Uint8Array(NUMBERS + 2 * MAX_UID);
  private readonly numbers = new DataView(this.head.buffer);
  private headFilled = 0;
  private headLength = NUMBERS;
  private frame: { index: number; transferSyntax: string; bytes: Uint8Array<ArrayBuffer> } | null = null;
  private filled = 0;
  /** Bytes still to come of a frame that is not wanted. */
  private skipping = 0;

  constructor(private readonly limits: StreamLimits) {}

  /** Takes one chunk and hands every frame that it completes to `onFrame`. */
  push(chunk: Uint8Array, onFrame: (frame: StreamedFrame) => void): void {
    let at = 0;
    for (;;) {
      if (this.skipping > 0) {
        const skip = Math.min(this.skipping, chunk.length - at);
        this.skipping -= skip;
        at += skip;
      } else if (this.frame === null) {
        at += this.fillHead(chunk, at);
      }
      const frame = this.frame;
      if (frame !== null) {
        const take = Math.min(frame.bytes.length - this.filled, chunk.length - at);
        frame.bytes.set(chunk.subarray(at, at + take), this.filled);
        this.filled += take;
        at += take;
        if (this.filled === frame.bytes.length) {
          this.frame = null;
          onFrame(frame);
        }
      }
      if (at >= chunk.length) return;
    }
  }

  /** Call at the end of the body: a stream that stops inside a frame was cut off. */
  end(): void {
    if (this.frame !== null || this.headFilled !== 0 || this.skipping > 0) {
      throw new FrameStreamError("viewer.stream_truncated");
    }
  }

  /** How many bytes of the chunk belong to the head. */
  private fillHead(chunk: Uint8Array, from: number): number {
    let at = from;
    while (at < chunk.length && this.headFilled < this.headLength) {
      const take = Math.min(this.headLength - this.headFilled, chunk.length - at);
      this.head.set(chunk.subarray(at, at + take), this.headFilled);
      this.headFilled += take;
      at += take;
      if (this.headFilled === NUMBERS) this.measureHead();
    }
    if (this.headFilled === this.headLength) this.beginFrame();
    return at - from;
  }

  private measureHead(): void {
    const [sop, syntax] = [this.number(2), this.number(3)];
    if (this.number(1) > this.limits.maxFrameBytes || sop > MAX_UID || syntax > MAX_UID) {
      throw new FrameStreamError("viewer.stream_oversized");
    }
    this.headLength = NUMBERS + sop + syntax;
  }

  private beginFrame(): void {
    const uids = NUMBERS + this.number(2);
    const sopUid = ASCII.decode(this.head.subarray(NUMBERS, uids));
    const transferSyntax = ASCII.decode(this.head.subarray(uids, this.headLength));
    const index = this.limits.indexOf(sopUid, this.number(0));
    const length = this.number(1);
    this.headFilled = 0;
    this.headLength = NUMBERS;
    this.filled = 0;
    if (index === undefined) this.skipping = length;
    else this.frame = { index, transferSyntax, bytes: new Uint8Array(length) };
  }

  private number(at: number): number {
    return this.numbers.getUint32(at * 4, true);
  }
}

/** One frame as the stream carries it. */
export function encodeFrame(
  sopUid: string,
  frame: number,
  transferSyntax: string,
  bytes: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const uids = new TextEncoder().encode(sopUid + transferSyntax);
  const out = new Uint8Array(NUMBERS + uids.length + bytes.length);
  const numbers = new DataView(out.buffer);
  [frame, bytes.length, sopUid.length, transferSyntax.length].forEach((number, at) => {
    numbers.setUint32(at * 4, number, true);
  });
  out.set(uids, NUMBERS);
  out.set(bytes, NUMBERS + uids.length);
  return out;
}

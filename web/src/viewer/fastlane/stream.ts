/**
 * Parser of the viewer's fast lane: one response body carries many frames, each as
 * `u32le global frame index`, `u32le byte length`, then the bytes in the stored
 * transfer syntax. Chunks arrive cut at arbitrary positions; every frame's bytes are
 * copied exactly once, into a buffer of the frame's own size.
 */
export interface StreamedFrame {
  readonly index: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export class FrameStreamError extends Error {
  constructor(readonly code: "viewer.stream_oversized" | "viewer.stream_index" | "viewer.stream_truncated") {
    super(code);
    this.name = "FrameStreamError";
  }
}

export interface StreamLimits {
  /** Number of frames in the series: an index at or above it is a broken stream. */
  readonly frames: number;
  /** Upper bound of one frame, so that a damaged length cannot allocate without end. */
  readonly maxFrameBytes: number;
}

const HEADER_BYTES = 8;

export class FrameStreamParser {
  private readonly header = new Uint8Array(HEADER_BYTES);
  private readonly headerView = new DataView(this.header.buffer);
  private headerFilled = 0;
  private body: Uint8Array<ArrayBuffer> | null = null;
  private bodyFilled = 0;
  private index = 0;

  constructor(private readonly limits: StreamLimits) {}

  /** Takes one chunk and hands every frame that it completes to `onFrame`. */
  push(chunk: Uint8Array, onFrame: (frame: StreamedFrame) => void): void {
    let at = 0;
    while (at < chunk.length || this.body?.length === 0) {
      if (this.body === null) {
        const take = Math.min(HEADER_BYTES - this.headerFilled, chunk.length - at);
        this.header.set(chunk.subarray(at, at + take), this.headerFilled);
        this.headerFilled += take;
        at += take;
        if (this.headerFilled < HEADER_BYTES) {
          return;
        }
        this.beginFrame();
      }
      const body = this.body;
      if (body === null) {
        return;
      }
      const take = Math.min(body.length - this.bodyFilled, chunk.length - at);
      body.set(chunk.subarray(at, at + take), this.bodyFilled);
      this.bodyFilled += take;
      at += take;
      if (this.bodyFilled === body.length) {
        this.body = null;
        this.headerFilled = 0;
        onFrame({ index: this.index, bytes: body });
      }
    }
  }

  /** Call at the end of the body: a stream that stops inside a frame was cut off. */
  end(): void {
    if (this.body !== null || this.headerFilled !== 0) {
      throw new FrameStreamError("viewer.stream_truncated");
    }
  }

  private beginFrame(): void {
    this.index = this.headerView.getUint32(0, true);
    const length = this.headerView.getUint32(4, true);
    if (this.index >= this.limits.frames) {
      throw new FrameStreamError("viewer.stream_index");
    }
    if (length > this.limits.maxFrameBytes) {
      throw new FrameStreamError("viewer.stream_oversized");
    }
    this.body = new Uint8Array(length);
    this.bodyFilled = 0;
  }
}

import { nearestMissing, outwardPosition } from "./order";
import { FrameStreamParser, type StreamedFrame, type StreamLimits } from "./stream";

/** A failed request: `permanent` ones (no permission, gone) are not tried again. */
export class FrameFetchError extends Error {
  constructor(
    readonly code: string,
    readonly permanent: boolean,
    options?: ErrorOptions,
  ) {
    super(code, options);
    this.name = "FrameFetchError";
  }
}

export interface FrameSource<T> {
  /**
   * Opens the stream of frames from `start` outwards, after so many streams in a row
   * that broke. Throws FrameFetchError.
   */
  open(start: number, signal: AbortSignal, failures: number): Promise<ReadableStream<Uint8Array>>;
  /** Turns stored bytes into an image; may run in a worker. */
  decode(index: number, bytes: Uint8Array<ArrayBuffer>, transferSyntax: string): Promise<T> | T;
  /** Size in memory of one decoded image. */
  size(image: T): number;
  /** Called when an image leaves the memory. */
  dropped?(index: number, image: T): void;
}

export interface SeriesProgress {
  readonly loaded: number;
  readonly total: number;
  readonly bytes: number;
  readonly state: "idle" | "loading" | "retrying" | "complete" | "failed";
  readonly code: string | null;
}

export interface SeriesOptions {
  readonly limits: StreamLimits;
  /** Frames that may be in memory at the same time. */
  readonly capacity: number;
  /** Decodes under way before reading pauses: keeps the network from outrunning the CPU. */
  readonly parallelDecodes: number;
  /** A stream lives at least this long before it is aimed anew: dragging a slider passes many slices. */
  readonly settleMs?: number;
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** How many frames ahead in the running stream are waited for before asking anew. */
const PATIENCE_FRAMES = 16;
const SETTLE_MS = 80;
const RETRY_DELAYS_MS = [250, 750, 2000, 5000];

/** One stream. */
interface Run {
  readonly start: number;
  readonly abort: AbortController;
  received: number;
  /** Frames that were wanted and not there yet. */
  fresh: number;
  /** Why a frame that came could not be made into an image, where trying again may help. */
  trouble: FrameFetchError | null;
}

interface Waiter<T> {
  resolve(image: T): void;
  reject(error: unknown): void;
}

/**
 * The frames of one series: keeps one stream open that runs from the current slice
 * outwards, aims it again when the reader jumps, and holds decoded images up to a
 * fixed number, dropping the ones farthest from the current slice.
 */
export class SeriesFrames<T> {
  private readonly images = new Map<number, T>();
  private readonly waiting = new Map<number, Waiter<T>[]>();
  private readonly decoding = new Set<number>();
  /** Frames whose bytes came but make no image: asking for them again changes nothing. */
  private readonly broken = new Map<number, unknown>();
  private readonly listeners = new Set<() => void>();
  private running: Run | null = null;
  private target = 0;
  private failures = 0;
  private bytes = 0;
  private state: SeriesProgress["state"] = "idle";
  private code: string | null = null;
  private disposed = false;
  private startedAt = 0;
  private settling: ReturnType<typeof setTimeout> | null = null;
  private snapshot: SeriesProgress | null = null;

  constructor(
    private readonly source: FrameSource<T>,
    private readonly options: SeriesOptions,
  ) {}

  get total(): number {
    return this.options.limits.frames;
  }

  has(index: number): boolean {
    return this.images.has(index);
  }

  peek(index: number): T | undefined {
    return this.images.get(index);
  }

  progress(): SeriesProgress {
    this.snapshot ??= {
      loaded: this.images.size,
      total: this.total,
      bytes: this.bytes,
      state: this.state,
      code: this.code,
    };
    return this.snapshot;
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** The image of a frame; starts or re-aims the stream as needed. */
  image(index: number): Promise<T> {
    const present = this.images.get(index);
    if (present !== undefined) {
      this.aim(index);
      return Promise.resolve(present);
    }
    if (this.broken.has(index)) {
      this.aim(index);
      return Promise.reject(this.broken.get(index));
    }
    return new Promise<T>((resolve, reject) => {
      const list = this.waiting.get(index) ?? [];
      list.push({ resolve, reject });
      this.waiting.set(index, list);
      this.failures = 0;
      this.aim(index);
    });
  }

  /** Says which slice the reader looks at. */
  aim(index: number): void {
    if (this.disposed || index < 0 || index >= this.total) {
      return;
    }
    this.target = index;
    const missing = nearestMissing(index, this.total, this.reach(), (at) => this.arrived(at));
    if (missing === null) {
      if (this.running === null) {
        this.finish();
      }
      return;
    }
    if (this.running === null) {
      this.start(missing);
      return;
    }
    if (this.arrived(index)) {
      return;
    }
    const ahead = outwardPosition(this.running.start, index, this.total) - this.running.received;
    if (ahead > PATIENCE_FRAMES || ahead < 0) this.restart(missing);
  }

  private restart(index: number): void {
    const rest = this.startedAt + (this.options.settleMs ?? SETTLE_MS) - performance.now();
    if (rest <= 0) {
      this.start(index);
    } else if (this.settling === null) {
      this.settling = setTimeout(() => {
        this.settling = null;
        this.aim(this.target);
      }, rest);
    }
  }

  private unsettle(): void {
    if (this.settling !== null) clearTimeout(this.settling);
    this.settling = null;
  }

  /** Stops the stream and keeps what is in memory. */
  pause(): void {
    this.unsettle();
    this.running?.abort.abort();
    this.running = null;
    if (this.state === "loading" || this.state === "retrying") {
      this.settle("idle", null);
    }
  }

  dispose(): void {
    this.disposed = true;
    this.unsettle();
    this.running?.abort.abort();
    this.running = null;
    for (const list of this.waiting.values()) {
      for (const waiter of list) {
        waiter.reject(new FrameFetchError("viewer.closed", true));
      }
    }
    this.waiting.clear();
    for (const [index, image] of this.images) {
      this.source.dropped?.(index, image);
    }
    this.images.clear();
    this.listeners.clear();
  }

  /** Lets frames that could not be decoded be tried again. */
  forgive(): void {
    this.broken.clear();
    this.failures = 0;
  }

  private arrived(index: number): boolean {
    return this.images.has(index) || this.decoding.has(index) || this.broken.has(index);
  }

  /** Everything that can be had is there; what cannot be drawn is said. */
  private finish(): void {
    const first = this.broken.values().next();
    if (first.done === true) this.settle("complete", null);
    else this.settle("failed", codeOf(first.value));
  }

  /** With a memory of `capacity` frames, only so many on either side are wanted. */
  private reach(): number {
    return this.options.capacity >= this.total ? this.total : Math.max(1, Math.floor((this.options.capacity - 1) / 2));
  }

  private start(index: number): void {
    this.running?.abort.abort();
    const run: Run = { start: index, received: 0, fresh: 0, abort: new AbortController(), trouble: null };
    this.running = run;
    this.startedAt = performance.now();
    this.settle("loading", null);
    void this.run(run);
  }

  private async run(run: Run): Promise<void> {
    const { signal } = run.abort;
    try {
      await this.read(run, signal);
      if (this.running !== run) {
        return;
      }
      if (run.trouble !== null) {
        await this.retry(run, run.trouble);
        return;
      }
      this.failures = 0;
      this.running = null;
      const missing = nearestMissing(this.target, this.total, this.reach(), (at) => this.arrived(at));
      if (missing === null) {
        this.finish();
      } else if (run.fresh === 0) {
        // A stream without one of the frames that the manifest promises will not become better: they were deleted.
        this.giveUp(new FrameFetchError("viewer.frames_missing", true));
      } else {
        this.start(missing);
      }
    } catch (error) {
      if (this.running !== run || signal.aborted) {
        return;
      }
      await this.retry(run, error);
    }
  }

  private async read(run: Run, signal: AbortSignal): Promise<void> {
    const body = await this.source.open(run.start, signal, this.failures);
    const reader = body.getReader();
    const parser = new FrameStreamParser(this.options.limits);
    const pending = new Set<Promise<void>>();
    const onFrame = (frame: StreamedFrame): void => {
      run.received += 1;
      const work = this.take(run, frame);
      if (work !== null) {
        pending.add(work);
        void work.finally(() => pending.delete(work));
      }
    };
    try {
      for (;;) {
        const { value, done } = await reader.read();
        if (signal.aborted) {
          return;
        }
        if (done) {
          break;
        }
        this.bytes += value.length;
        parser.push(value, onFrame);
        while (pending.size >= this.options.parallelDecodes) {
          await Promise.race(pending);
        }
        if (this.satisfied()) {
          run.abort.abort();
          break;
        }
      }
      if (!signal.aborted) {
        parser.end();
      }
      await Promise.all(pending);
    } finally {
      reader.cancel().catch(() => undefined);
    }
  }

  private satisfied(): boolean {
    return nearestMissing(this.target, this.total, this.reach(), (at) => this.arrived(at)) === null;
  }

  /** Null when the frame was ready at once or is not needed. */
  private take(run: Run, frame: StreamedFrame): Promise<void> | null {
    const { index } = frame;
    if (this.arrived(index) || this.disposed) {
      return null;
    }
    if (Math.abs(index - this.target) > this.reach() && !this.waiting.has(index)) {
      return null;
    }
    run.fresh += 1;
    let decoded: Promise<T> | T;
    try {
      decoded = this.source.decode(index, frame.bytes, frame.transferSyntax);
    } catch (error) {
      this.refuse(run, index, error);
      return null;
    }
    if (!(decoded instanceof Promise)) {
      this.store(index, decoded);
      return null;
    }
    this.decoding.add(index);
    return decoded.then(
      (image) => {
        this.decoding.delete(index);
        this.store(index, image);
      },
      (error: unknown) => {
        this.decoding.delete(index);
        this.refuse(run, index, error);
      },
    );
  }

  private store(index: number, image: T): void {
    if (this.disposed) {
      this.source.dropped?.(index, image);
      return;
    }
    this.images.set(index, image);
    for (const waiter of this.waiting.get(index) ?? []) {
      waiter.resolve(image);
    }
    this.waiting.delete(index);
    this.evict();
    this.changed();
  }

  /** What the network refused for a moment is asked for again with the stream; what the bytes refuse is not. */
  private refuse(run: Run, index: number, error: unknown): void {
    if (error instanceof FrameFetchError && !error.permanent) {
      run.trouble = error;
      return;
    }
    this.broken.set(index, error);
    for (const waiter of this.waiting.get(index) ?? []) {
      waiter.reject(error);
    }
    this.waiting.delete(index);
  }

  /** Nothing that is wanted and not here will come. */
  private giveUp(error: FrameFetchError): void {
    const reach = this.reach();
    const last = Math.min(this.total - 1, this.target + reach);
    for (let index = Math.max(0, this.target - reach); index <= last; index += 1) {
      if (!this.arrived(index)) this.broken.set(index, error);
    }
    this.fail(error);
  }

  private evict(): void {
    while (this.images.size > this.options.capacity) {
      let farthest = -1;
      let distance = -1;
      for (const index of this.images.keys()) {
        const away = Math.abs(index - this.target);
        if (away > distance) {
          distance = away;
          farthest = index;
        }
      }
      const image = this.images.get(farthest);
      if (image === undefined) {
        return;
      }
      this.images.delete(farthest);
      this.source.dropped?.(farthest, image);
    }
  }

  private async retry(run: Run, error: unknown): Promise<void> {
    const delay = RETRY_DELAYS_MS[this.failures];
    const permanent = error instanceof FrameFetchError && error.permanent;
    if (permanent || delay === undefined) {
      this.running = null;
      this.fail(error);
      return;
    }
    this.failures += 1;
    this.settle("retrying", codeOf(error));
    const wait = this.options.wait ?? pauseFor;
    await wait(delay, run.abort.signal);
    if (this.running !== run || this.disposed) {
      return;
    }
    const missing = nearestMissing(this.target, this.total, this.reach(), (at) => this.arrived(at));
    if (missing === null) {
      this.running = null;
      this.finish();
    } else {
      this.start(missing);
    }
  }

  private fail(error: unknown): void {
    this.settle("failed", codeOf(error));
    for (const list of this.waiting.values()) {
      for (const waiter of list) {
        waiter.reject(error);
      }
    }
    this.waiting.clear();
  }

  private settle(state: SeriesProgress["state"], code: string | null): void {
    if (this.state !== state || this.code !== code) {
      this.state = state;
      this.code = code;
      this.changed();
    }
  }

  private changed(): void {
    this.snapshot = null;
    for (const listener of this.listeners) {
      listener();
    }
  }
}

function codeOf(error: unknown): string {
  if (typeof error === "object" && error !== null && "code" in error) {
    const { code } = error;
    if (typeof code === "string") {
      return code;
    }
  }
  return "viewer.load_failed";
}

function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}

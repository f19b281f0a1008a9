import { describe, expect, it } from "vitest";
import { nearestMissing, outwardPosition } from "./order";
import { encodeFrame } from "./stream";
import { FrameFetchError, SeriesFrames, type FrameSource } from "./seriesFrames";

/** The order of the server, written another way than in the code under test. */
function outward(start: number, frames: number): number[] {
  const order = [start];
  for (let distance = 1; distance < frames; distance += 1) {
    if (start - distance >= 0) order.push(start - distance);
    if (start + distance < frames) order.push(start + distance);
  }
  return order;
}

function chunkOf(index: number): Uint8Array {
  return encodeFrame(`1.${index}`, 0, "1.2", Uint8Array.of(index));
}

const indexOf = (sopUid: string): number => Number(sopUid.slice(2));

interface Harness {
  frames: SeriesFrames<number>;
  opened: number[];
  dropped: number[];
}

function harness(
  total: number,
  options: { capacity?: number; open?: (start: number, attempt: number) => ReadableStream<Uint8Array> } = {},
): Harness {
  const opened: number[] = [];
  const dropped: number[] = [];
  const stream = (start: number): ReadableStream<Uint8Array> => {
    const order = outward(start, total);
    return new ReadableStream({
      pull(controller) {
        const next = order.shift();
        if (next === undefined) controller.close();
        else controller.enqueue(chunkOf(next));
      },
    });
  };
  const source: FrameSource<number> = {
    open: (start, signal) => {
      opened.push(start);
      if (signal.aborted) return Promise.reject(new DOMException("", "AbortError"));
      return Promise.resolve().then(() => (options.open ?? ((at) => stream(at)))(start, opened.length));
    },
    decode: (index, bytes) => {
      expect(bytes[0]).toBe(index & 255);
      return index;
    },
    size: () => 1,
    dropped: (index) => dropped.push(index),
  };
  const frames = new SeriesFrames(source, {
    limits: { frames: total, maxFrameBytes: 8, indexOf },
    capacity: options.capacity ?? total,
    parallelDecodes: 4,
    settleMs: 0,
    wait: () => Promise.resolve(),
  });
  return { frames, opened, dropped };
}

function settled(frames: SeriesFrames<number>): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (["complete", "failed"].includes(frames.progress().state)) resolve();
    };
    frames.subscribe(check);
    check();
  });
}

describe("order", () => {
  it("knows at which place a frame comes", () => {
    for (const [start, total] of [
      [0, 7],
      [6, 7],
      [3, 7],
      [1, 10],
      [8, 10],
    ] as const) {
      outward(start, total).forEach((index, position) => {
        expect(outwardPosition(start, index, total)).toBe(position);
      });
    }
  });

  it("finds the nearest missing frame", () => {
    const there = new Set([4, 5, 6]);
    expect(nearestMissing(5, 10, 10, (index) => there.has(index))).toBe(7);
    expect(nearestMissing(5, 10, 1, (index) => there.has(index))).toBeNull();
    expect(nearestMissing(0, 3, 10, () => true)).toBeNull();
  });
});

describe("SeriesFrames", () => {
  it("loads everything through one stream from the current slice", async () => {
    const { frames, opened } = harness(40);
    expect(await frames.image(10)).toBe(10);
    await settled(frames);
    expect(frames.progress()).toMatchObject({ loaded: 40, total: 40, state: "complete" });
    expect(opened).toEqual([10]);
  });

  it("aims anew when the reader jumps far, and not for the next slice", async () => {
    const { frames, opened } = harness(200);
    await frames.image(0);
    expect(await frames.image(3)).toBe(3);
    expect(opened).toEqual([0]);
    expect(await frames.image(150)).toBe(150);
    expect(opened[1]).toBe(150);
    await settled(frames);
    expect(frames.progress().loaded).toBe(200);
  });

  it("does not open a stream for every slice that a slider passes", async () => {
    const opened: number[] = [];
    const frames = new SeriesFrames<number>(
      {
        open: (start) => {
          opened.push(start);
          return Promise.resolve(
            new ReadableStream<Uint8Array>({
              async pull(controller) {
                await new Promise((resolve) => setTimeout(resolve, 5));
                controller.enqueue(chunkOf(start));
                if (opened.length > 1) controller.close();
              },
            }),
          );
        },
        decode: (index) => index,
        size: () => 1,
      },
      { limits: { frames: 1000, maxFrameBytes: 8, indexOf }, capacity: 1, parallelDecodes: 4, settleMs: 30 },
    );
    for (let index = 0; index < 1000; index += 50) frames.aim(index);
    expect(await frames.image(999)).toBe(999);
    expect(opened.length).toBeLessThanOrEqual(3);
    expect(opened.at(-1)).toBe(999);
    frames.dispose();
  });

  it("keeps no more than its capacity, around the current slice", async () => {
    const { frames, dropped } = harness(100, { capacity: 21 });
    await frames.image(50);
    await settled(frames);
    expect(frames.progress().loaded).toBeLessThanOrEqual(21);
    expect(frames.has(50)).toBe(true);
    await frames.image(90);
    await settled(frames);
    expect(frames.progress().loaded).toBeLessThanOrEqual(21);
    expect(frames.has(90)).toBe(true);
    expect(frames.has(50)).toBe(false);
    expect(dropped).toContain(50);
  });

  it("asks again after a lost connection, from what is missing", async () => {
    const { frames, opened } = harness(6, {
      open: (start, attempt) => {
        const order = outward(start, 6);
        return new ReadableStream<Uint8Array>({
          pull(controller) {
            const next = order.shift();
            if (next === undefined) controller.close();
            else if (attempt === 1 && order.length < 3) controller.error(new TypeError("connection lost"));
            else controller.enqueue(chunkOf(next));
          },
        });
      },
    });
    await frames.image(0);
    await settled(frames);
    expect(frames.progress()).toMatchObject({ loaded: 6, state: "complete" });
    expect(opened.length).toBe(2);
    expect(opened[1]).toBeGreaterThan(0);
  });

  it("gives up at once when the answer is final", async () => {
    const { frames, opened } = harness(6, {
      open: () => {
        throw new FrameFetchError("study.not_found", true);
      },
    });
    await expect(frames.image(0)).rejects.toThrow("study.not_found");
    expect(frames.progress()).toMatchObject({ state: "failed", code: "study.not_found" });
    expect(opened).toEqual([0]);
  });

  it("gives up after some attempts and can be asked again", async () => {
    let broken = true;
    const { frames, opened } = harness(3, {
      open: (start) => {
        if (broken) throw new FrameFetchError("network.unreachable", false);
        const order = outward(start, 3);
        return new ReadableStream<Uint8Array>({
          pull(controller) {
            const next = order.shift();
            if (next === undefined) controller.close();
            else controller.enqueue(chunkOf(next));
          },
        });
      },
    });
    await expect(frames.image(1)).rejects.toThrow("network.unreachable");
    expect(opened.length).toBe(5);
    broken = false;
    expect(await frames.image(1)).toBe(1);
  });

  it("asks once for a frame that cannot be decoded, shows the rest and says so", async () => {
    const opened: number[] = [];
    let bad = true;
    const frames = new SeriesFrames<number>(
      {
        open: (start) => {
          opened.push(start);
          const order = outward(start, 5);
          return Promise.resolve(
            new ReadableStream<Uint8Array>({
              pull(controller) {
                const next = order.shift();
                if (next === undefined) controller.close();
                else controller.enqueue(chunkOf(next));
              },
            }),
          );
        },
        decode: (index) => {
          if (index === 2 && bad) return Promise.reject(new FrameFetchError("viewer.undecodable", true));
          if (index === 3 && bad) throw new FrameFetchError("viewer.undecodable", true);
          return index;
        },
        size: () => 1,
      },
      { limits: { frames: 5, maxFrameBytes: 8, indexOf }, capacity: 5, parallelDecodes: 2, wait: () => Promise.resolve() },
    );
    await expect(frames.image(2)).rejects.toThrow("viewer.undecodable");
    await settled(frames);
    expect(frames.progress()).toMatchObject({ loaded: 3, state: "failed", code: "viewer.undecodable" });
    await expect(frames.image(3)).rejects.toThrow("viewer.undecodable");
    expect(opened).toEqual([2]);
    bad = false;
    frames.forgive();
    expect(await frames.image(3)).toBe(3);
    await settled(frames);
  });

  it("gives up on a frame that no stream brings any more, instead of asking for ever", async () => {
    const opened: number[] = [];
    const frames = new SeriesFrames<number>(
      {
        open: (start) => {
          opened.push(start);
          // The third frame was deleted after the manifest was read.
          const order = outward(start, 5).filter((index) => index !== 2);
          return Promise.resolve(
            new ReadableStream<Uint8Array>({
              pull(controller) {
                const next = order.shift();
                if (next === undefined || opened.length > 9) controller.close();
                else controller.enqueue(chunkOf(next));
              },
            }),
          );
        },
        decode: (index) => index,
        size: () => 1,
      },
      { limits: { frames: 5, maxFrameBytes: 8, indexOf }, capacity: 5, parallelDecodes: 2, wait: () => Promise.resolve() },
    );
    const gone = frames.image(2).catch((error: unknown) => (error as FrameFetchError).code);
    expect(await frames.image(0)).toBe(0);
    expect(await gone).toBe("viewer.frames_missing");
    expect(frames.progress()).toMatchObject({ loaded: 4, state: "failed" });
    expect(opened.length).toBeLessThanOrEqual(3);
    frames.aim(1);
    await expect(frames.image(2)).rejects.toThrow("viewer.frames_missing");
    expect(opened.length, "nor with every slice that is passed").toBeLessThanOrEqual(3);
  });

  it("asks again for a frame that the network kept from being decoded, after a pause", async () => {
    const opened: number[] = [];
    let refusals = 2;
    const waits: number[] = [];
    const frames = new SeriesFrames<number>(
      {
        open: (start) => {
          opened.push(start);
          const order = outward(start, 3);
          return Promise.resolve(
            new ReadableStream<Uint8Array>({
              pull(controller) {
                const next = order.shift();
                if (next === undefined) controller.close();
                else controller.enqueue(chunkOf(next));
              },
            }),
          );
        },
        decode: (index) => {
          if (index !== 1 || refusals === 0) return index;
          refusals -= 1;
          return Promise.reject(new FrameFetchError("network.unreachable", false));
        },
        size: () => 1,
      },
      {
        limits: { frames: 3, maxFrameBytes: 8, indexOf },
        capacity: 3,
        parallelDecodes: 2,
        wait: (ms) => {
          waits.push(ms);
          return Promise.resolve();
        },
      },
    );
    expect(await frames.image(1)).toBe(1);
    await settled(frames);
    expect(frames.progress()).toMatchObject({ loaded: 3, state: "complete" });
    expect(opened).toHaveLength(3);
    expect(waits).toHaveLength(2);
    refusals = Infinity;
    const never = new SeriesFrames<number>(
      {
        open: () => Promise.resolve(new ReadableStream({ start: (controller) => (controller.enqueue(chunkOf(1)), controller.close()) })),
        decode: () => Promise.reject(new FrameFetchError("network.unreachable", false)),
        size: () => 1,
      },
      { limits: { frames: 3, maxFrameBytes: 8, indexOf }, capacity: 3, parallelDecodes: 2, wait: () => Promise.resolve() },
    );
    await expect(never.image(1)).rejects.toThrow("network.unreachable");
    expect(never.progress().state).toBe("failed");
  });

  it("rejects what waits when it is closed", async () => {
    const { frames } = harness(3, { open: () => new ReadableStream<Uint8Array>() });
    const waiting = frames.image(1);
    frames.dispose();
    await expect(waiting).rejects.toThrow("viewer.closed");
  });
});

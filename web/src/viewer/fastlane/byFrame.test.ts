import { describe, expect, it } from "vitest";
import { streamByFrame, type WantedFrame } from "./byFrame";
import { FrameStreamParser } from "./stream";

const FRAMES: WantedFrame[] = Array.from({ length: 30 }, (_, at) => ({
  sopUid: `1.${at}`,
  frame: 0,
  transferSyntax: "1.2",
}));
const LIMITS = { frames: 30, maxFrameBytes: 8, indexOf: (sopUid: string) => Number(sopUid.slice(2)) };

async function read(stream: ReadableStream<Uint8Array>, most = Infinity): Promise<number[]> {
  const parser = new FrameStreamParser(LIMITS);
  const order: number[] = [];
  const reader = stream.getReader();
  while (order.length < most) {
    const { value, done } = await reader.read();
    if (done) break;
    parser.push(value, ({ index, transferSyntax, bytes }) => {
      expect([transferSyntax, bytes[0]]).toEqual(["1.2", index]);
      order.push(index);
    });
  }
  await reader.cancel();
  return order;
}

describe("streamByFrame", () => {
  it("sends what the server's stream sends, in its order, with few requests under way", async () => {
    let underWay = 0;
    let most = 0;
    const stream = streamByFrame(FRAMES, 10, new AbortController().signal, async ({ sopUid }) => {
      underWay += 1;
      most = Math.max(most, underWay);
      await Promise.resolve();
      underWay -= 1;
      return { transferSyntax: "1.2", bytes: Uint8Array.of(Number(sopUid.slice(2))) };
    });
    const order = await read(stream);
    expect(order.slice(0, 5)).toEqual([10, 9, 11, 8, 12]);
    expect([...order].sort((a, b) => a - b)).toEqual(FRAMES.map((_, at) => at));
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(8);
  });

  it("ends every request when the reader hangs up", async () => {
    const signals: AbortSignal[] = [];
    const stream = streamByFrame(FRAMES, 0, new AbortController().signal, ({ sopUid }, signal) => {
      signals.push(signal);
      return Promise.resolve({ transferSyntax: "1.2", bytes: Uint8Array.of(Number(sopUid.slice(2))) });
    });
    await read(stream, 2);
    expect(signals.length).toBeLessThan(20);
    expect(signals.every((signal) => signal.aborted)).toBe(true);
  });

  it("breaks where a frame cannot be had", async () => {
    const stream = streamByFrame(FRAMES, 0, new AbortController().signal, ({ sopUid }) =>
      sopUid === "1.3"
        ? Promise.reject(new Error("gone"))
        : Promise.resolve({ transferSyntax: "1.2", bytes: Uint8Array.of(Number(sopUid.slice(2))) }),
    );
    await expect(read(stream)).rejects.toThrow("gone");
  });
});

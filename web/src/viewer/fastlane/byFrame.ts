import { outwards } from "./order";
import { encodeFrame } from "./stream";

/** Requests under way: enough to hide the way to the server, few enough for the first frame not to wait. */
const IN_FLIGHT = 8;

export interface WantedFrame {
  readonly sopUid: string;
  readonly frame: number;
  /** In which form, as the manifest tells. */
  readonly transferSyntax: string;
}

type Fetch = (wanted: WantedFrame, signal: AbortSignal) => Promise<{ transferSyntax: string; bytes: Uint8Array }>;

/**
 * The stream of a series made of one request a frame, for networks whose proxies do not
 * let a long answer through. It looks like the server's own.
 */
export function streamByFrame(
  frames: readonly WantedFrame[],
  start: number,
  signal: AbortSignal,
  fetch: Fetch,
): ReadableStream<Uint8Array> {
  const order = outwards(start, frames.length);
  const underWay: Promise<Uint8Array>[] = [];
  const stop = new AbortController();
  signal.addEventListener("abort", () => stop.abort(), { once: true });
  const ask = async (wanted: WantedFrame): Promise<Uint8Array> => {
    const { transferSyntax, bytes } = await fetch(wanted, stop.signal);
    return encodeFrame(wanted.sopUid, wanted.frame, transferSyntax, bytes);
  };
  const fill = (): void => {
    while (underWay.length < IN_FLIGHT) {
      const next = order.next();
      if (next.done === true) return;
      const wanted = frames[next.value];
      if (wanted === undefined) continue;
      const answer = ask(wanted);
      // It is reported when its turn comes; until then nobody listens.
      answer.catch(() => undefined);
      underWay.push(answer);
    }
  };
  return new ReadableStream({
    async pull(controller) {
      fill();
      const next = underWay.shift();
      if (next === undefined) {
        controller.close();
        return;
      }
      try {
        controller.enqueue(await next);
      } catch (error) {
        stop.abort();
        controller.error(error);
      }
    },
    cancel() {
      stop.abort();
    },
  });
}

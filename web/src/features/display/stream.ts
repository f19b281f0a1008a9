import { api } from "@/api/client";

/**
 * Reads a stream of server-sent events through `fetch`, because `EventSource` cannot carry the
 * display's key in a header. Calls `onEvent` for each event; resolves when the stream ends.
 */
export async function readEvents(response: Response, onEvent: (name: string) => void, onBytes: () => void): Promise<void> {
  const reader = response.body?.getReader();
  if (!reader) return;
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    onBytes();
    rest += decoder.decode(value, { stream: true });
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const lines = block.split(/\r?\n/);
      if (!lines.some((line) => line.startsWith("data"))) continue;
      const name = lines.find((line) => line.startsWith("event:"));
      onEvent(name === undefined ? "message" : name.slice(6).trim());
    }
  }
}

const WAITS_MS = [500, 1000, 2000, 4000];

/** Stays connected: waits at most 4 s between attempts, and gives up on a silent line after 45 s. */
export function keepListening(path: string, bearer: string | null, on: { changed: () => void; state: (open: boolean) => void }): () => void {
  let stopped = false;
  let control = new AbortController();
  let silence: ReturnType<typeof setTimeout> | undefined;
  const alive = () => {
    clearTimeout(silence);
    silence = setTimeout(() => control.abort(), 45_000);
  };
  const run = async () => {
    for (let attempt = 0; !stopped; attempt++) {
      control = new AbortController();
      try {
        alive();
        const response = await api.raw(path, { bearer, signal: control.signal });
        attempt = 0;
        on.state(true);
        // What happened while the line was down is not repeated: ask for the whole picture.
        on.changed();
        await readEvents(response, (name) => name === "changed" && on.changed(), alive);
      } catch {
        // Any failure ends in the same: say so and try again.
      }
      clearTimeout(silence);
      if (stopped) return;
      on.state(false);
      await new Promise((resolve) => setTimeout(resolve, WAITS_MS[Math.min(attempt, WAITS_MS.length - 1)]));
    }
  };
  void run();
  return () => {
    stopped = true;
    clearTimeout(silence);
    control.abort();
  };
}

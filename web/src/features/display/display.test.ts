import { beforeEach, describe, expect, it, vi } from "vitest";
import { takeKey } from "./key";
import { readEvents } from "./stream";

describe("display key", () => {
  beforeEach(() => sessionStorage.clear());
  it("moves from the address into the session and is found again after a reload", () => {
    const replace = vi.fn();
    expect(takeKey({ hash: "#key=a%2Bb", pathname: "/display/1", search: "" }, sessionStorage, replace)).toBe("a+b");
    expect(replace).toHaveBeenCalledWith("/display/1");
    expect(takeKey({ hash: "", pathname: "/display/1", search: "" }, sessionStorage, replace)).toBe("a+b");
    expect(replace).toHaveBeenCalledOnce();
  });
  it("has none when a member of staff opens the screen", () => {
    expect(takeKey({ hash: "", pathname: "/display/1", search: "" }, sessionStorage, () => undefined)).toBeNull();
  });
});

describe("event stream", () => {
  const stream = (...chunks: string[]) =>
    new Response(
      new ReadableStream({
        start(controller) {
          for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
          controller.close();
        },
      }),
    );
  it("reads events across chunk borders and skips comments", async () => {
    const seen: string[] = [];
    await readEvents(stream(": keep\n\nevent: cha", "nged\ndata: {}\n\nda", "ta: x\r\n\r\nevent: changed\ndata: {}\n\n"), (name) => seen.push(name), () => undefined);
    expect(seen).toEqual(["changed", "message", "changed"]);
  });
});

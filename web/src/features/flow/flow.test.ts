import { describe, expect, it } from "vitest";
import type { QueueEntry, QueueState } from "@/api/types";
import { actsFor, currentOf, inOrder } from "./order";

const entry = (id: string, state: QueueState, position = 0, called_at: string | null = null) => ({ id, state, position, called_at, arrived_at: "2026-11-24T00:00:00Z" }) as QueueEntry;

describe("queue", () => {
  it("shows who is inside before who was called last", () => {
    expect(currentOf([])).toBeNull();
    expect(currentOf([entry("a", "waiting")])).toBeNull();
    const called = [entry("a", "called", 1, "2026-11-24T08:00:00Z"), entry("b", "called", 2, "2026-11-24T08:05:00Z")];
    expect(currentOf(called)?.id).toBe("b");
    expect(currentOf([...called, entry("c", "in_room", 0, "2026-11-24T07:00:00Z")])?.id).toBe("c");
  });
  it("orders by state, then by the server's position", () => {
    expect(inOrder([entry("a", "passed", 1), entry("b", "waiting", 3), entry("c", "waiting", 2), entry("d", "called", 9), entry("e", "in_room", 8)]).map(({ id }) => id)).toEqual(["e", "d", "c", "b", "a"]);
  });
  it("puts emergencies before all others who wait, in whatever room, but not before who is called", () => {
    const late = { ...entry("x", "waiting", 5), priority: "emergency" } as QueueEntry;
    expect(inOrder([entry("a", "waiting", 1), late, entry("d", "called", 9)]).map(({ id }) => id)).toEqual(["d", "x", "a"]);
  });
  it("lets nobody be called who has left or is done", () => {
    expect(actsFor("done")).toEqual([]);
    expect(actsFor("left")).toEqual([]);
    expect(actsFor("passed")).toContain("return");
    expect(actsFor("called")[0]).toBe("call");
  });
});

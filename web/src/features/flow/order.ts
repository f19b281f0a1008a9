import type { QueueEntry, QueueState } from "@/api/types";

/** The entry the room is busy with: who is inside, else who has been called last. */
export function currentOf(entries: readonly QueueEntry[]): QueueEntry | null {
  const inside = entries.filter(({ state }) => state === "in_room");
  if (inside.length > 0) return inside.reduce((latest, entry) => ((entry.called_at ?? "") > (latest.called_at ?? "") ? entry : latest));
  const called = entries.filter(({ state }) => state === "called");
  if (called.length > 0) return called.reduce((latest, entry) => ((entry.called_at ?? "") > (latest.called_at ?? "") ? entry : latest));
  return null;
}

const rank: Record<QueueState, number> = { in_room: 0, called: 1, waiting: 2, on_hold: 3, passed: 4, done: 5, left: 6 };

/** The order in which people stand in the list; the server's position decides among those who wait. */
export function inOrder(entries: readonly QueueEntry[]): QueueEntry[] {
  // Over several rooms the positions of each begin anew: emergencies stand before all others who wait.
  const late = (entry: QueueEntry) => (entry.priority === "emergency" ? 0 : 1);
  return [...entries].sort((a, b) => rank[a.state] - rank[b.state] || late(a) - late(b) || a.position - b.position || a.arrived_at.localeCompare(b.arrived_at));
}

export type QueueAct = "call" | "enter" | "skip" | "return" | "hold" | "leave" | "transfer";

const allowed: Record<QueueState, readonly QueueAct[]> = {
  waiting: ["call", "hold", "transfer", "leave"],
  called: ["call", "enter", "skip", "hold", "leave"],
  in_room: ["leave"],
  passed: ["return", "leave"],
  on_hold: ["return", "transfer", "leave"],
  done: [],
  left: [],
};

export function actsFor(state: QueueState): readonly QueueAct[] {
  return allowed[state];
}

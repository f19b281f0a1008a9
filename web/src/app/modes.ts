/**
 * The places of the rail. A place is offered when the policy allows one of its actions, so the rail
 * follows the role without knowing the roles.
 */
export interface Place {
  key: string;
  path: string;
  /** Any of these opens the place. */
  actions: readonly string[];
  /** The second key of the chord `g x`. */
  chord: string;
}

export const places: readonly Place[] = [
  { key: "desk", path: "/desk", actions: ["order.create", "patient.register", "queue.checkin"], chord: "d" },
  { key: "queue", path: "/queue", actions: ["queue.read"], chord: "q" },
  { key: "exam", path: "/exam", actions: ["exam.perform"], chord: "e" },
  { key: "reading", path: "/reading", actions: ["reading.read"], chord: "r" },
  { key: "phrases", path: "/phrases", actions: ["phrase.use"], chord: "p" },
  { key: "unmatched", path: "/unmatched", actions: ["study.link"], chord: "u" },
  { key: "interfaces", path: "/interfaces", actions: ["message.read", "deadletter.read", "peer.read", "quarantine.manage"], chord: "i" },
  { key: "admin", path: "/admin", actions: ["user.read", "audit.read", "status.read", "display.manage", "storage.read", "study.delete"], chord: "a" },
];

export function placesFor(actions: readonly string[]): Place[] {
  return places.filter((place) => place.actions.some((action) => actions.includes(action)));
}

/** Where somebody lands who opens `/`. The order of preference is by how specific the work is. */
export function homeFor(actions: readonly string[]): string {
  const has = (action: string) => actions.includes(action);
  if (has("report.draft") || has("report.initial") || has("report.audit")) return "/reading";
  if (has("exam.perform") && !has("order.create")) return "/exam";
  return placesFor(actions)[0]?.path ?? "/profile";
}

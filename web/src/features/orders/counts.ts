import type { ExamState, Order } from "@/api/types";

export type Count = "registered" | "arrived" | "examined" | "completed";

const rank: Record<ExamState, number> = {
  draft: 0,
  ordered: 1,
  returned: 0,
  accepted: 1,
  scheduled: 1,
  arrived: 2,
  prepared: 2,
  in_progress: 2,
  redo: 2,
  imaged: 3,
  completed: 3,
  reported: 3,
  audited: 4,
  delivered: 4,
  cancelled: 0,
  discontinued: 0,
};

/** Each count holds all who came at least so far: who was examined has also arrived. */
export function countsOf(orders: readonly Pick<Order, "state">[]): Record<Count, number> {
  const counts: Record<Count, number> = { registered: 0, arrived: 0, examined: 0, completed: 0 };
  for (const { state } of orders) {
    const at = rank[state];
    if (at >= 1) counts.registered += 1;
    if (at >= 2) counts.arrived += 1;
    if (at >= 3) counts.examined += 1;
    if (at >= 4) counts.completed += 1;
  }
  return counts;
}

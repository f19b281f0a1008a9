import type { ExamState } from "@/api/types";

/** What somebody at the desk can do with an order; the server decides, this only keeps useless buttons away. */
export type OrderStep = "accept" | "return" | "book" | "move" | "unbook" | "arrive" | "cancel" | "slip" | "read" | "report" | "images" | "timeline";

interface Rule {
  step: OrderStep;
  action: string;
  /** Not offered to those who may do this. */
  without?: string;
  states: readonly ExamState[] | "any";
}

const beforeExam: readonly ExamState[] = ["draft", "ordered", "returned", "accepted", "scheduled", "arrived", "prepared"];

const rules: readonly Rule[] = [
  { step: "accept", action: "order.accept", states: ["ordered"] },
  { step: "book", action: "appointment.book", states: ["accepted", "redo"] },
  { step: "arrive", action: "queue.checkin", states: ["scheduled", "accepted", "redo"] },
  { step: "move", action: "appointment.book", states: ["scheduled"] },
  { step: "unbook", action: "appointment.book", states: ["scheduled"] },
  { step: "slip", action: "order.read", states: ["accepted", "scheduled", "arrived", "prepared", "redo"] },
  { step: "read", action: "reading.read", states: ["in_progress", "imaged", "completed", "reported", "audited", "delivered"] },
  // Who reads in the reading room has report and images there; others get each by itself.
  { step: "report", action: "report.read", states: ["audited", "delivered"] },
  { step: "images", action: "study.read", without: "reading.read", states: ["in_progress", "imaged", "completed", "reported", "audited", "delivered"] },
  { step: "return", action: "order.accept", states: ["ordered", "accepted"] },
  { step: "cancel", action: "order.cancel", states: beforeExam },
  { step: "timeline", action: "timeline.read", states: "any" },
];

export function stepsFor(state: ExamState, actions: readonly string[]): OrderStep[] {
  return rules.filter((rule) => actions.includes(rule.action) && !(rule.without !== undefined && actions.includes(rule.without)) && (rule.states === "any" || rule.states.includes(state))).map(({ step }) => step);
}

import { useCallback, useState } from "react";
import { useLive } from "@/api/live";
import type { LiveEvent } from "@/api/types";

export interface Notice {
  id: number;
  kind: NoticeKind;
  at: string;
  href: string;
  /** How many events of this kind came in a row. */
  count: number;
}
export type NoticeKind = "study" | "unmatched" | "quarantine" | "dead_letter" | "message" | "rejected" | "duplicate" | "audit" | "redo" | "returned" | "backup" | "storage";

interface Rule {
  topics: readonly string[];
  kind: NoticeKind;
  action: string;
  href: (event: LiveEvent) => string;
}

const order = (event: LiveEvent) => (event.case_id ? `/reading/${encodeURIComponent(event.case_id)}` : "/reading");

/** What deserves somebody's attention, and whose: only people who may act are told. */
const rules: readonly Rule[] = [
  { topics: ["storage.short"], kind: "storage", action: "storage.manage", href: () => "/admin/storage" },
  { topics: ["delivery.dead"], kind: "dead_letter", action: "deadletter.read", href: () => "/interfaces/dead-letters" },
  { topics: ["backup.failed"], kind: "backup", action: "status.read", href: () => "/admin/status" },
  { topics: ["object.quarantined"], kind: "quarantine", action: "quarantine.manage", href: () => "/interfaces/quarantine" },
  { topics: ["message.failed"], kind: "message", action: "message.read", href: () => "/interfaces/messages" },
  { topics: ["study.unmatched"], kind: "unmatched", action: "study.link", href: () => "/unmatched" },
  { topics: ["duplicate.found"], kind: "duplicate", action: "quarantine.manage", href: (event) => (event.case_id ? `/orders/${encodeURIComponent(event.case_id)}/timeline` : "/interfaces/quarantine") },
  { topics: ["report.initial"], kind: "audit", action: "report.audit", href: order },
  { topics: ["exam.redo"], kind: "redo", action: "exam.perform", href: () => "/exam" },
  { topics: ["order.returned"], kind: "returned", action: "order.create", href: (event) => (event.case_id ? `/orders/${encodeURIComponent(event.case_id)}` : "/desk") },
  { topics: ["report.rejected"], kind: "rejected", action: "report.draft", href: order },
  { topics: ["study.stored", "study.matched"], kind: "study", action: "reading.read", href: order },
];

export function ruleFor(event: LiveEvent, actions: readonly string[]): Rule | undefined {
  // Nobody needs to be told what they did themselves, or what is meant for somebody else.
  if (event.topic === "*" || event.own || event.for_me === false) return undefined;
  return rules.find(
    (rule) => actions.includes(rule.action) && rule.topics.some((topic) => event.topic === topic || event.topic.startsWith(`${topic}.`)),
  );
}

const KEPT = 30;
/** Repeats of the same notice within this time become one line with a count. */
const SAME_WITHIN_MS = 60_000;

export function addNotice(list: readonly Notice[], kind: NoticeKind, href: string, now: Date): Notice[] {
  const same = list.find((notice) => notice.kind === kind && notice.href === href && now.getTime() - Date.parse(notice.at) < SAME_WITHIN_MS);
  const rest = same ? list.filter((notice) => notice !== same) : list;
  const id = list.reduce((highest, notice) => Math.max(highest, notice.id), 0) + 1;
  return [{ id, kind, href, at: now.toISOString(), count: (same?.count ?? 0) + 1 }, ...rest].slice(0, KEPT);
}

export function useNotices(actions: readonly string[]) {
  const [items, setItems] = useState<Notice[]>([]);
  const [seen, setSeen] = useState(0);
  useLive(["*"], (event) => {
    const rule = ruleFor(event, actions);
    if (rule) setItems((list) => addNotice(list, rule.kind, rule.href(event), new Date()));
  });
  const newest = items[0]?.id ?? 0;
  const markSeen = useCallback(() => setSeen(newest), [newest]);
  return { items, unseen: items.filter(({ id }) => id > seen).length, markSeen };
}

import type { TFunction } from "i18next";
import type { TimelineEvent } from "@/api/types";
import { dayOf, stamp } from "@/lib/time";

type Translate = TFunction<"timeline">;

export interface Sentence {
  readonly text: string;
  /** The payload's fields when no text tells them. */
  readonly details: readonly (readonly [string, string])[];
}

/** Some payloads carry instants as microseconds: those after 2001 and before 2100. */
function fromMicros(field: string, value: unknown): string | null {
  if (typeof value !== "number" || !/(_at|until|start|end)$/.test(field)) return null;
  return value > 1e15 && value < 4.1e15 ? new Date(value / 1000).toISOString() : null;
}

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/;

function fieldsOf(payload: unknown): [string, unknown][] {
  return typeof payload === "object" && payload !== null && !Array.isArray(payload) ? Object.entries(payload) : [];
}

/** A payload value as words: codes in the language, instants as wall time, lists joined. */
function wording(t: Translate, field: string, value: unknown): string {
  if (value === null || value === undefined) return "";
  if (Array.isArray(value)) return value.map((entry) => wording(t, field, entry)).join(t("join"));
  if (typeof value === "object") return JSON.stringify(value);
  const text = fromMicros(field, value) ?? String(value);
  if (INSTANT.test(text)) return stamp(text);
  return t(`code.${field}.${text}`, { defaultValue: text });
}

/**
 * The sentence of an event: its topic's own text with the payload's fields as parameters.
 * A topic without a text shows its name and all fields, so that a newer server's events
 * can still be read. Events keep the names of rooms in the facility's language; `roomNamed` gives the reader's.
 */
export function sentenceOf(t: Translate, event: TimelineEvent, roomNamed = (name: string) => name): Sentence {
  const fields = fieldsOf(event.payload).map(([field, value]) => {
    const text = wording(t, field, value);
    return [field, field === "room" || field === "from_room" ? roomNamed(text) : text] as const;
  });
  const parameters: Record<string, string> = {};
  for (const [field, text] of fields) parameters[field] = text;
  const unknown = "\u0000";
  const text = t(`topic.${event.topic}`, { defaultValue: unknown, ...parameters });
  if (text === unknown || text === `topic.${event.topic}`) {
    const details = fields.filter(([, shown]) => shown !== "").map(([field, shown]) => [field, shown] as const);
    return { text: t("unknown", { topic: event.topic }), details };
  }
  // Fields that this server does not send leave a dash, not the name of a parameter.
  const told = text.replace(/\{\{\w+\}\}/g, "–");
  // Reasons are written by people and end the sentence, whatever the topic.
  const reason = parameters["reason"] ?? "";
  return { text: reason === "" ? told : t("with_reason", { text: told, reason }), details: [] };
}

/** People by name, parts of the system by what they do. */
export function actorOf(t: Translate, event: TimelineEvent): string {
  const name = event.actor_name ?? "";
  const kind = t(`actor.${event.actor_kind}`, { defaultValue: event.actor_kind });
  if (name === "") return kind;
  return event.actor_kind === "system"
    ? t("actor.part", { kind, part: t(`part.${name}`, { defaultValue: name }) })
    : name;
}

export interface DayGroup {
  readonly day: string;
  readonly events: readonly TimelineEvent[];
}

/** Events in the order of what happened, parted by the facility's days. */
export function groupByDay(events: readonly TimelineEvent[]): DayGroup[] {
  const sorted = [...events].sort(
    (a, b) =>
      a.occurred_at.localeCompare(b.occurred_at) ||
      a.recorded_at.localeCompare(b.recorded_at) ||
      a.id.localeCompare(b.id),
  );
  const groups: { day: string; events: TimelineEvent[] }[] = [];
  for (const event of sorted) {
    const day = dayOf(new Date(event.occurred_at));
    const last = groups.at(-1);
    if (last?.day === day) last.events.push(event);
    else groups.push({ day, events: [event] });
  }
  return groups;
}

export type Area = "order" | "desk" | "exam" | "images" | "report" | "sharing" | "other";

const AREAS: Record<string, Area> = {
  patient: "desk",
  order: "order",
  appt: "order",
  slot: "order",
  sps: "order",
  queue: "desk",
  prep: "exam",
  exam: "exam",
  mpps: "exam",
  study: "images",
  instances: "images",
  duplicate: "images",
  object: "images",
  quarantine: "images",
  report: "report",
  case: "report",
  share: "sharing",
  result: "sharing",
  message: "other",
};

export function areaOf(topic: string): Area {
  return AREAS[topic.split(".")[0] ?? ""] ?? "other";
}

/** Recorded noticeably later than it happened: worth showing, because order then differs. */
export function recordedLate(event: TimelineEvent): boolean {
  return Math.abs(Date.parse(event.recorded_at) - Date.parse(event.occurred_at)) > 60_000;
}

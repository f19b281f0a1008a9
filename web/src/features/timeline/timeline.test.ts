import i18next, { type TFunction } from "i18next";
import { beforeAll, describe, expect, it } from "vitest";
import type { TimelineEvent } from "@/api/types";
import en from "./locales/en-US.json";
import zh from "./locales/zh-CN.json";
import { actorOf, areaOf, groupByDay, recordedLate, sentenceOf } from "./sentence";

let english: TFunction<"timeline">;
let chinese: TFunction<"timeline">;

beforeAll(async () => {
  const instance = i18next.createInstance();
  await instance.init({
    lng: "zh-CN",
    resources: { "zh-CN": { timeline: zh }, "en-US": { timeline: en } },
    keySeparator: false,
    interpolation: { escapeValue: false },
  });
  english = instance.getFixedT("en-US", "timeline");
  chinese = instance.getFixedT("zh-CN", "timeline");
});

const event = (change: Partial<TimelineEvent>): TimelineEvent => ({
  id: "1",
  topic: "order.created",
  occurred_at: "2026-11-24T01:00:00Z",
  recorded_at: "2026-11-24T01:00:00Z",
  actor_kind: "user",
  actor_name: "A",
  source: "http",
  subject_kind: "order",
  subject_id: "o",
  payload: {},
  ...change,
});

describe("sentences", () => {
  it("puts the payload into the topic's sentence, codes in words", () => {
    const created = event({
      payload: { accession: "CT1", modality: "CT", priority: "urgent", source: "desk", items: ["X"] },
    });
    expect(sentenceOf(english, created).text).toBe("Order CT1 created (CT, urgent, desk)");
    expect(sentenceOf(chinese, created).text).toBe("建立申请单 CT1（CT，加急，登记台）");
  });

  it("shows instants as the facility's wall time and joins lists", () => {
    const booked = event({ topic: "appt.booked", payload: { start: "2026-11-23T17:30:00Z", device: "CT01" } });
    expect(sentenceOf(english, booked).text).toMatch(/2026-11-24 01:30|01:30/);
    const changed = event({ topic: "patient.updated", payload: { fields: ["name", "phone"] } });
    expect(sentenceOf(english, changed).text).toBe("Patient data changed (name, phone)");
  });

  it("tells a reason whatever the topic", () => {
    expect(sentenceOf(english, event({ topic: "order.cancelled", payload: { reason: "double" } })).text).toBe(
      "Order cancelled; reason: double",
    );
  });

  it("stays readable for topics of a newer server", () => {
    const unknown = sentenceOf(
      english,
      event({ topic: "robot.waved", payload: { hands: 2, at: "2026-11-24T01:00:00Z", empty: null } }),
    );
    expect(unknown.text).toBe("Event robot.waved");
    expect(unknown.details.map(([field]) => field)).toEqual(["hands", "at"]);
    expect(sentenceOf(english, event({ topic: "robot.waved", payload: "text" })).details).toEqual([]);
  });

  it("names rooms in the reader's language", () => {
    const moved = event({ topic: "queue.moved", payload: { ticket: "A1", from_room: "CT 一室", room: "CT 二室" } });
    const names: Record<string, string> = { "CT 一室": "CT room 1", "CT 二室": "CT room 2" };
    expect(sentenceOf(english, moved, (name) => names[name] ?? name).text).toBe("A1 moved from CT room 1 to CT room 2");
  });

  it("leaves no parameter unfilled when the payload has none", () => {
    expect(sentenceOf(english, event({ topic: "queue.called", payload: {} })).text).not.toContain("{{");
  });

  it("has the same topics in both languages", () => {
    const base = (words: object): string[] =>
      Object.keys(words)
        .map((key) => key.replace(/_(one|other)$/, ""))
        .sort();
    expect([...new Set(base(en))]).toEqual([...new Set(base(zh))]);
  });
});

describe("days", () => {
  it("groups by the facility's day in the order of what happened", () => {
    const groups = groupByDay([
      event({ id: "c", occurred_at: "2026-11-24T16:30:00Z" }),
      event({ id: "a", occurred_at: "2026-11-24T01:00:00Z" }),
      event({ id: "b", occurred_at: "2026-11-24T15:59:00Z" }),
    ]);
    expect(groups.map(({ day, events }) => [day, events.map(({ id }) => id)])).toEqual([
      ["2026-11-24", ["a", "b"]],
      ["2026-11-25", ["c"]],
    ]);
  });

  it("notices late records and knows areas", () => {
    expect(recordedLate(event({ recorded_at: "2026-11-24T01:05:00Z" }))).toBe(true);
    expect(recordedLate(event({ recorded_at: "2026-11-24T01:00:02Z" }))).toBe(false);
    expect(areaOf("mpps.updated")).toBe("exam");
    expect(areaOf("robot.waved")).toBe("other");
  });
});

describe("actors and instants of all kinds", () => {
  it("names people, and says what part of the system acted", () => {
    expect(actorOf(english, event({ actor_name: "Dr. A" }))).toBe("Dr. A");
    expect(actorOf(english, event({ actor_kind: "system", actor_name: "reading" }))).toBe("System (image matching)");
    expect(actorOf(english, event({ actor_kind: "patient", actor_name: "" }))).toBe("Patient");
  });

  it("reads microseconds in fields that are instants, and leaves other numbers alone", () => {
    const shared = event({ topic: "share.created", payload: { expires_at: 1_798_104_650_727_943 } });
    expect(sentenceOf(english, shared).text).toContain("2026-12-24 17:30");
    const numbers = event({ topic: "robot.waved", payload: { serial: 1_798_104_650_727_943 } });
    expect(sentenceOf(english, numbers).details).toEqual([["serial", "1798104650727943"]]);
  });
});

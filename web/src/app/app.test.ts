import { describe, expect, it } from "vitest";
import { homeFor, placesFor } from "./modes";
import { addNotice, ruleFor } from "./noticeRules";
import { safeNext } from "./safeNext";

describe("rail", () => {
  it("offers a place for any of its actions", () => {
    expect(placesFor(["queue.read"]).map(({ key }) => key)).toEqual(["queue"]);
    expect(placesFor([])).toEqual([]);
  });
  it("brings each role to its work", () => {
    expect(homeFor(["order.create", "queue.read", "patient.register"])).toBe("/desk");
    expect(homeFor(["exam.perform", "queue.read", "queue.checkin"])).toBe("/exam");
    expect(homeFor(["exam.perform", "report.initial", "reading.read"])).toBe("/reading");
    expect(homeFor(["audit.read", "status.read"])).toBe("/admin");
    expect(homeFor(["session.self"])).toBe("/profile");
  });
  it("never leaves the site after signing in", () => {
    expect(safeNext("/orders/1?x=2")).toBe("/orders/1?x=2");
    for (const bad of [undefined, "", "https://evil.example", "//evil.example", "/\\evil.example", "/login?next=/login", "orders"]) expect(safeNext(bad)).toBeNull();
  });
});

describe("notifications", () => {
  const event = (topic: string, case_id: string | null = null) => ({ topic, subject_kind: "", subject_id: "", case_id, own: false, for_me: null as boolean | null });
  it("tell only people who may act", () => {
    expect(ruleFor(event("study.stored", "o1"), ["reading.read"])?.kind).toBe("study");
    expect(ruleFor(event("study.stored"), ["order.read"])).toBeUndefined();
    expect(ruleFor(event("*"), ["reading.read"])).toBeUndefined();
    const rejected = event("report.rejected", "o1");
    expect(ruleFor({ ...rejected, for_me: true }, ["report.draft"])?.kind).toBe("rejected");
    expect(ruleFor({ ...rejected, for_me: false }, ["report.draft"]), "somebody else's report").toBeUndefined();
    expect(ruleFor({ ...event("report.initial", "o1"), own: true }, ["report.audit"]), "the own doing").toBeUndefined();
    expect(ruleFor(event("report.initial", "o1"), ["report.audit"])?.href(event("report.initial", "o1"))).toBe("/reading/o1");
    expect(ruleFor(event("delivery.dead"), ["deadletter.read"])?.href(event("delivery.dead"))).toBe("/interfaces/dead-letters");
    expect(ruleFor(event("message.failed"), ["message.read"])?.href(event("message.failed"))).toBe("/interfaces/messages");
    expect(ruleFor(event("report.rejected", "o1"), ["report.draft"])?.href(event("report.rejected", "o1"))).toBe("/reading/o1");
  });
  it("gather repeats within a minute and keep a bounded list", () => {
    const at = new Date("2026-11-24T08:00:00Z");
    let list = addNotice([], "quarantine", "/q", at);
    list = addNotice(list, "quarantine", "/q", new Date(at.getTime() + 5_000));
    expect(list.map(({ count, id }) => [count, id])).toEqual([[2, 2]]);
    list = addNotice(list, "quarantine", "/q", new Date(at.getTime() + 120_000));
    expect(list).toHaveLength(2);
    for (let more = 0; more < 50; more++) list = addNotice(list, "study", `/s/${more}`, at);
    expect(list).toHaveLength(30);
  });
});

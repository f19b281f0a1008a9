import { describe, expect, it } from "vitest";
import type { CatalogueItem, ExamState } from "@/api/types";
import { indexCatalogue, searchCatalogue } from "./catalogue";
import { countsOf } from "./counts";
import { emptyRequest, missingIn, newOrdersOf } from "./request";
import { stepsFor } from "./steps";

const item = (id: string, code: string, name: string, name_en: string, modality: string, sided = false): CatalogueItem => ({
  id, code, name, name_en, modality, body_part: "", sided, contrast: false, duration_min: 10, preparation: "", preparation_en: "", price_cents: 0,
});
const items = [item("1", "CT001", "胸部CT平扫", "Chest CT", "CT"), item("2", "CT002", "胸部CT增强", "Chest CT with contrast", "CT"), item("3", "DX010", "膝关节正侧位", "Knee X-ray", "DX", true), item("4", "DX011", "胸部正位", "Chest X-ray", "DX")];
const index = indexCatalogue(items);
const search = (text: string) => searchCatalogue(index, text).map(({ id }) => id);

describe("catalogue search", () => {
  it("finds by initials, code, name, English and modality", () => {
    expect(search("xbctz")).toEqual(["2"]);
    expect(search("CT001")).toEqual(["1"]);
    expect(search("膝")).toEqual(["3"]);
    expect(search("knee")).toEqual(["3"]);
    expect(search("dx chest")).toEqual(["4"]);
    expect(search("zzz")).toEqual([]);
  });
  it("puts the plainer exam first", () => {
    expect(search("xb")[0]).toBe("4");
    expect(search("")).toHaveLength(4);
  });
});

describe("a request", () => {
  const knee = { key: "k", item: items[2] as CatalogueItem, side: null };
  it("asks for what the automatic check would miss", () => {
    expect(missingIn(emptyRequest)).toEqual(["items", "department", "physician", "diagnosis"]);
    expect(missingIn({ ...emptyRequest, chosen: [knee], priority: "emergency" })).toEqual(["side"]);
    expect(missingIn({ ...emptyRequest, chosen: [{ ...knee, side: "L" }], visit_class: "checkup" })).toEqual([]);
  });
  it("becomes one order for each exam", () => {
    const orders = newOrdersOf("p", { ...emptyRequest, chosen: [{ ...knee, side: "R" }, { key: "c", item: items[0] as CatalogueItem, side: null }], diagnosis: " x " });
    expect(orders.map(({ items: own }) => own)).toEqual([[{ catalogue_id: "3", side: "R" }], [{ catalogue_id: "1", side: null }]]);
    expect(orders[0]?.diagnosis).toBe("x");
  });
});

describe("steps", () => {
  const all = ["order.accept", "appointment.book", "queue.checkin", "order.read", "order.cancel", "reading.read", "timeline.read"];
  it("follow the state", () => {
    expect(stepsFor("ordered", all)).toEqual(["accept", "return", "cancel", "timeline"]);
    expect(stepsFor("scheduled", all)).toEqual(["arrive", "move", "unbook", "slip", "cancel", "timeline"]);
    expect(stepsFor("cancelled", all)).toEqual(["timeline"]);
  });
  it("never offer to cancel once the exam has begun", () => {
    const begun: ExamState[] = ["in_progress", "imaged", "completed", "redo", "reported", "audited", "delivered", "discontinued"];
    for (const state of begun) expect(stepsFor(state, all)).not.toContain("cancel");
  });
  it("follow the role", () => {
    expect(stepsFor("scheduled", ["timeline.read"])).toEqual(["timeline"]);
    expect(stepsFor("scheduled", [])).toEqual([]);
    // A clinician gets report and images one by one, a reader both in the reading room.
    expect(stepsFor("audited", ["report.read", "study.read"])).toEqual(["report", "images"]);
    expect(stepsFor("audited", ["report.read", "study.read", "reading.read"])).toEqual(["read", "report"]);
    expect(stepsFor("reported", ["report.read", "study.read"])).toEqual(["images"]);
  });
});

describe("counts", () => {
  it("hold everybody who came so far", () => {
    const states: ExamState[] = ["accepted", "scheduled", "arrived", "in_progress", "completed", "audited", "cancelled", "draft"];
    expect(countsOf(states.map((state) => ({ state })))).toEqual({ registered: 6, arrived: 4, examined: 2, completed: 1 });
  });
});

import { describe, expect, it } from "vitest";
import type { Order, ReadingRow, UnmatchedStudy } from "@/api/types";
import { compareStudy, nameSpellings } from "./compare";
import { casesOf, groupStates, mergeRows, modalitiesOf, nextRow, waitingOf } from "./rows";

const row = (id: string, state = "completed"): ReadingRow => ({ order_id: id, state }) as ReadingRow;

describe("live rows", () => {
  it("takes the server's order when nobody points at the list", () => {
    expect(mergeRows([row("a")], [row("b"), row("a")], false)).toEqual({ rows: [row("b"), row("a")], arrived: 0 });
  });

  it("keeps places while somebody points, changes rows in place and counts new ones", () => {
    const merged = mergeRows([row("a"), row("b")], [row("c"), row("b", "reported")], true);
    expect(merged.rows).toEqual([row("a"), row("b", "reported")]);
    expect(merged.arrived).toBe(1);
  });

  it("shows the first rows in any case", () => {
    expect(mergeRows([], [row("a")], true).rows).toEqual([row("a")]);
  });
});

describe("keyboard", () => {
  it("moves and stops at the ends", () => {
    expect(nextRow(-1, "ArrowDown", 3)).toBe(0);
    expect(nextRow(2, "ArrowDown", 3)).toBe(2);
    expect(nextRow(0, "ArrowUp", 3)).toBe(0);
    expect(nextRow(0, "PageDown", 30)).toBe(10);
    expect(nextRow(5, "End", 30)).toBe(29);
    expect(nextRow(5, "x", 30)).toBeNull();
    expect(nextRow(0, "ArrowDown", 0)).toBeNull();
  });
});

describe("waiting time", () => {
  it("uses units that people use and warns by priority", () => {
    expect(waitingOf(12, "routine")).toEqual({ unit: "minutes", count: 12, late: false });
    expect(waitingOf(45, "emergency")).toEqual({ unit: "minutes", count: 45, late: true });
    expect(waitingOf(130, "urgent")).toEqual({ unit: "hours", count: 2, late: true });
    expect(waitingOf(3 * 24 * 60, "routine")).toEqual({ unit: "days", count: 3, late: true });
  });

  it("maps groups to states", () => {
    expect(groupStates("audit")).toBe("reported");
    expect(groupStates("nothing")).toBeUndefined();
    expect(groupStates(undefined)).toBeUndefined();
  });
});

describe("counts beside the filters", () => {
  const counts = [
    { state: "imaged", modality: "CT", priority: "emergency", cases: 2 },
    { state: "reported", modality: "CT", priority: "routine", cases: 3 },
    { state: "redo", modality: "MR", priority: "routine", cases: 5 },
  ];
  it("hold what a filter would show beside the others", () => {
    expect(casesOf(counts, {})).toBe(5);
    expect(casesOf(counts, { group: "todo" })).toBe(7);
    expect(casesOf(counts, { group: "audit" })).toBe(3);
    expect(casesOf(counts, { modality: "CT", priority: "emergency" })).toBe(2);
    expect(casesOf(counts, { group: "todo", modality: "MR" })).toBe(5);
    expect(casesOf(counts, { modality: "US" })).toBe(0);
  });
  it("are absent until they are known, and for what only grows", () => {
    expect(casesOf(undefined, {})).toBeUndefined();
    expect(casesOf(counts, { group: "done" })).toBeUndefined();
  });
  it("offer every modality that has cases", () => {
    expect(modalitiesOf([{ state: "imaged", modality: "NM", priority: "routine", cases: 1 }], "RF").slice(-2)).toEqual(["NM", "RF"]);
    expect(modalitiesOf(undefined, "CT")).toHaveLength(7);
  });
});

describe("comparing images with an order", () => {
  const order = {
    patient: { name: "李秀英", name_latin: "LI XIUYING", mrn: "M1" },
    modality: "CT",
    accession: "A1",
  } as unknown as Order;
  const study = (change: Partial<UnmatchedStudy>): UnmatchedStudy =>
    ({
      patient_name: "LI^XIUYING=李^秀英",
      patient_id: "M1",
      modality: "CT",
      accession: "A1",
      ...change,
    }) as UnmatchedStudy;

  it("knows one name in its spellings", () => {
    expect(nameSpellings("LI^XIUYING=李^秀英")).toEqual(["lixiuying", "李秀英"]);
    expect(compareStudy(study({}), order).every(({ differs }) => !differs)).toBe(true);
    expect(compareStudy(study({ patient_name: "Li Xiuying" }), order)[0]?.differs).toBe(false);
  });

  it("marks what differs", () => {
    const facts = compareStudy(study({ patient_name: "WANG^WU", modality: "MR" }), order);
    expect(facts.filter(({ differs }) => differs).map(({ key }) => key)).toEqual(["name", "modality"]);
  });
});

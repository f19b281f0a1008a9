import { describe, expect, it } from "vitest";
import { Problem } from "@/api/problem";
import en from "./locales/en-US.json";
import zh from "./locales/zh-CN.json";
import { birthDate, gateOf, isFull, lastFour } from "./unlock";

const now = new Date("2026-11-24T00:00:00Z");

describe("what the patient types", () => {
  it("takes days of the calendar in the past only", () => {
    expect(birthDate({ year: "1968", month: "3", day: "21" }, now)).toBe("1968-03-21");
    expect(birthDate({ year: "2024", month: "02", day: "29" }, now)).toBe("2024-02-29");
    for (const [year, month, day] of [
      ["2023", "02", "29"],
      ["1968", "13", "1"],
      ["68", "3", "21"],
      ["2027", "1", "1"],
      ["", "", ""],
    ] as const) {
      expect(birthDate({ year, month, day }, now)).toBeNull();
    }
  });

  it("takes four digits, or three and an X", () => {
    expect(lastFour(" 123x ")).toBe("123X");
    expect(lastFour("0000")).toBe("0000");
    expect(lastFour("123")).toBeNull();
    expect(lastFour("12 4")).toBeNull();
  });

  it("hands the cursor on when a part can only be complete", () => {
    expect(isFull("year", "1968")).toBe(true);
    expect(isFull("month", "1")).toBe(false);
    expect(isFull("month", "3")).toBe(true);
    expect(isFull("day", "3")).toBe(false);
    expect(isFull("day", "4")).toBe(true);
  });
});

describe("refusals", () => {
  it("tells them apart in plain words", () => {
    const gate = (status: number, code: string): string => gateOf(new Problem({ status, code }));
    expect(gate(403, "share.mismatch")).toBe("mismatch");
    expect(gate(410, "share.expired")).toBe("expired");
    expect(gate(410, "share.revoked")).toBe("revoked");
    expect(gate(429, "share.throttled")).toBe("throttled");
    expect(gate(404, "share.not_found")).toBe("missing");
    expect(gate(401, "anything")).toBe("form");
    expect(gate(0, "network.unreachable")).toBe("unreachable");
    for (const name of ["mismatch", "throttled", "expired", "revoked", "missing", "unreachable"]) {
      expect(zh).toHaveProperty([`gate.${name}`]);
      expect(en).toHaveProperty([`gate.${name}`]);
    }
  });
});

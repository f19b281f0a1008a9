import { describe, expect, it } from "vitest";
import { checkCharacter, normalizeIdCard, readIdCard } from "./idcard";

describe("resident identity number", () => {
  it("reads birth date and sex of the sample in GB 11643", () => {
    expect(readIdCard("11010519491231002X")).toEqual({ ok: true, value: "11010519491231002X", birth_date: "1949-12-31", sex: "F" });
    expect(readIdCard("440524188001010014", "2026-11-24")).toEqual({ ok: true, value: "440524188001010014", birth_date: "1880-01-01", sex: "M" });
  });
  it("accepts how people type it", () => {
    expect(normalizeIdCard(" 110105 19491231 002x ")).toBe("11010519491231002X");
    expect(readIdCard("110105 19491231 002x").ok).toBe(true);
  });
  it("finds every single wrong digit and every swap of neighbours", () => {
    const good = "11010519491231002X";
    for (let at = 0; at < 17; at++) {
      for (const digit of "0123456789") {
        if (digit === good.charAt(at)) continue;
        const bad = good.slice(0, at) + digit + good.slice(at + 1);
        expect(checkCharacter(bad.slice(0, 17)) === bad.charAt(17)).toBe(false);
      }
      if (at < 16 && good.charAt(at) !== good.charAt(at + 1)) {
        const swapped = good.slice(0, at) + good.charAt(at + 1) + good.charAt(at) + good.slice(at + 2);
        expect(readIdCard(swapped).ok).toBe(false);
      }
    }
  });
  it("names the fault", () => {
    const fault = (text: string) => {
      const card = readIdCard(text, "2026-11-24");
      return card.ok ? null : card.fault;
    };
    expect(fault("1101051949123100")).toBe("length");
    expect(fault("1101051949123100AX")).toBe("characters");
    expect(fault("11010519490230002X")).toBe("birth_date");
    expect(fault("110105204912310020")).toBe("birth_date");
    expect(fault("110105194912310021")).toBe("checksum");
  });
});

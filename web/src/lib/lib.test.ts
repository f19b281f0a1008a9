import { afterEach, describe, expect, it } from "vitest";
import { maskIdentifier, maskName, maskPhone } from "./mask";
import { initials } from "./pinyin";
import { unbroken } from "./prose";
import { parsePreferences } from "./preferences";
import { addDays, ageOn, clock, dayBounds, dayOf, DEFAULT_ZONE, instantOf, isDay, minuteOfDay, setZone, shortDay, stamp } from "./time";
import { isTyping } from "./useKeys";

describe("words and numbers", () => {
  it("a number keeps its unit on its line, other words may break", () => {
    expect(unbroken("约6 mm，CT 1 室")).toBe("约6\u00a0mm，CT 1 室");
    expect(unbroken("3 masses")).toBe("3 masses");
  });
  it("a short day has the weekday apart", () => {
    expect(shortDay("2026-11-25", "zh-CN")).toBe("11/25 周三");
    expect(shortDay("2026-11-25", "en-US")).toBe("Wed, 11/25");
  });
});

describe("masking", () => {
  it("keeps the ends of a name and hides at least one character", () => {
    expect(["", "张", "张三", "张伟国", "欧阳建华"].map(maskName)).toEqual(["", "张*", "张*", "张*国", "欧**华"]);
    expect(maskName("John Smith")).toBe("J*** S***");
    expect(maskName("𠮷田一")).toBe("𠮷*一");
  });
  it("hides the middle of numbers", () => {
    expect(maskIdentifier("11010519491231002X")).toBe("110105********002X");
    expect(maskIdentifier("12345")).toBe("*****");
    expect(maskPhone("13800138000")).toBe("138****8000");
    expect(maskPhone("110")).toBe("***");
  });
});

describe("facility time", () => {
  afterEach(() => setZone(DEFAULT_ZONE));
  it("shows instants as the facility's wall time", () => {
    expect(clock("2026-11-24T00:05:00Z")).toBe("08:05");
    expect(dayOf(new Date("2026-11-23T16:00:00Z"))).toBe("2026-11-24");
    expect(instantOf("2026-11-24", "08:30").toISOString()).toBe("2026-11-24T00:30:00.000Z");
    expect(dayBounds("2026-11-24")).toEqual({ from: "2026-11-23T16:00:00.000Z", to: "2026-11-24T16:00:00.000Z" });
    expect(minuteOfDay("2026-11-24T00:30:00Z")).toBe(510);
    expect(stamp("2026-11-24T00:30:00Z", new Date("2026-11-24T03:00:00Z"))).toBe("08:30");
    expect(stamp("2026-11-23T00:30:00Z", new Date("2026-11-24T03:00:00Z"))).toBe("2026-11-23 08:30");
    expect(stamp(null)).toBe("–");
  });
  it("follows daylight saving where there is one", () => {
    setZone("Europe/Berlin");
    expect(instantOf("2026-03-29", "12:00").toISOString()).toBe("2026-03-29T10:00:00.000Z");
    expect(instantOf("2026-03-28", "12:00").toISOString()).toBe("2026-03-28T11:00:00.000Z");
    setZone("Nowhere/Atlantis");
    expect(clock("2026-01-01T00:00:00Z")).toBe("01:00");
  });
  it("knows which days exist", () => {
    expect(isDay("2024-02-29")).toBe(true);
    expect(isDay("2026-02-29")).toBe(false);
    expect(addDays("2026-12-31", 1)).toBe("2027-01-01");
  });
  it("tells ages in the unit that fits", () => {
    expect(ageOn("1957-03-08", "2026-03-07")).toEqual({ unit: "years", count: 68 });
    expect(ageOn("1957-03-08", "2026-03-08")).toEqual({ unit: "years", count: 69 });
    expect(ageOn("2024-11-24", "2026-11-24")).toEqual({ unit: "months", count: 24 });
    expect(ageOn("2026-11-20", "2026-11-24")).toEqual({ unit: "days", count: 4 });
    expect(ageOn("2026-11-25", "2026-11-24")).toBeNull();
    expect(ageOn(null)).toBeNull();
  });
});

describe("pinyin initials", () => {
  it("reads catalogue names", () => {
    expect(initials("胸部CT平扫")).toBe("xbctps");
    expect(initials("膝关节正侧位片")).toBe("xgjzcwp");
    expect(initials("头颅（MR）")).toBe("tlmr");
  });
});

describe("preferences", () => {
  it("survives broken storage and prefers Chinese", () => {
    expect(parsePreferences("{", ["fr-FR"])).toEqual({ language: "zh-CN", theme: "system" });
    expect(parsePreferences(null, ["en-GB"])).toEqual({ language: "en-US", theme: "system" });
    expect(parsePreferences('{"language":"zh-CN","theme":"dark"}', ["en-GB"])).toEqual({ language: "zh-CN", theme: "dark" });
    expect(parsePreferences('{"language":"xx","theme":7}', [])).toEqual({ language: "zh-CN", theme: "system" });
  });
});

describe("keys", () => {
  const from = (element: HTMLElement) => {
    let seen: boolean | null = null;
    document.body.append(element);
    element.addEventListener("keydown", (event) => (seen = isTyping(event)));
    element.dispatchEvent(new KeyboardEvent("keydown", { key: "n" }));
    element.remove();
    return seen;
  };
  it("leaves letters to whoever is typing", () => {
    const checkbox = document.createElement("input");
    checkbox.type = "checkbox";
    expect(from(document.createElement("input"))).toBe(true);
    expect(from(document.createElement("textarea"))).toBe(true);
    expect(from(checkbox)).toBe(false);
    expect(from(document.createElement("button"))).toBe(false);
  });
});

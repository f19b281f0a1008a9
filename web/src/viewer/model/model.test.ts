import { describe, expect, it } from "vitest";
import { grownOf } from "./grown";
import { BIR, commandFor, keyName, keymapConflicts, unreachable, type Command, type KeyPress } from "./keymap";
import { directionLetters, isMirrored, opposite, sideLetters } from "./orientation";
import { presetByKey, presetsFor, windowOf, windowRange } from "./presets";
import { mayMirror } from "./safety";

describe("orientation letters", () => {
  it("names the edges of the three planes", () => {
    expect(sideLetters([1, 0, 0], [0, 1, 0])).toEqual({ left: "R", right: "L", top: "A", bottom: "P" });
    expect(sideLetters([1, 0, 0], [0, 0, -1])).toEqual({ left: "R", right: "L", top: "H", bottom: "F" });
    expect(sideLetters([0, 1, 0], [0, 0, -1])).toEqual({ left: "A", right: "P", top: "H", bottom: "F" });
  });

  it("names oblique planes by the strongest axis first and leaves small tilts out", () => {
    expect(directionLetters([0.8, -0.6, 0])).toBe("LA");
    expect(directionLetters([0.5, 0.2, -0.84])).toBe("FLP");
    expect(directionLetters([0.999, 0.04, 0.01])).toBe("L");
    expect(opposite("HLP")).toBe("FRA");
  });

  it("follows rotation and mirror, and knows a mirrored picture", () => {
    const axial = [1, 0, 0, 0, 1, 0] as const;
    // A quarter turn clockwise: screen-right is what was up.
    expect(sideLetters([0, -1, 0], [1, 0, 0])).toEqual({ left: "P", right: "A", top: "R", bottom: "L" });
    expect(isMirrored(axial, [0, -1, 0], [1, 0, 0])).toBe(false);
    expect(sideLetters([-1, 0, 0], [0, 1, 0]).left).toBe("L");
    expect(isMirrored(axial, [-1, 0, 0], [0, 1, 0])).toBe(true);
    expect(isMirrored(axial, [-1, 0, 0], [0, -1, 0])).toBe(false);
  });

  it("scales directions before it compares them", () => {
    expect(sideLetters([300, 1, 0], [0, 200, 2]).right).toBe("L");
  });
});

describe("a series that grows", () => {
  const ref = (seriesUid: string, images: number) => ({ studyUid: "1", seriesUid, modality: "CT", number: 1, description: "", images });
  it("is told while it is shown, and only then", () => {
    expect(grownOf(ref("a", 20), [ref("b", 99), ref("a", 24)])).toEqual(ref("a", 24));
    expect(grownOf(ref("a", 20), [ref("a", 20)])).toBeNull();
    expect(grownOf(ref("a", 20), [])).toBeNull();
    expect(grownOf(null, [ref("a", 1)])).toBeNull();
  });
});

describe("window presets", () => {
  it("gives CT nine presets on the number keys", () => {
    expect(presetsFor("CT", null)).toHaveLength(9);
    expect(presetByKey("CT", 2, null)).toMatchObject({ id: "lung", center: -600, width: 1500 });
    expect(new Set(presetsFor("CT", null).map(({ id }) => id)).size).toBe(9);
  });

  it("builds presets of other modalities on the header's window", () => {
    expect(presetsFor("MR", null)).toEqual([]);
    const header = { center: 500, width: 1000 };
    expect(presetByKey("MR", 1, header)).toMatchObject({ center: 500, width: 1000 });
    expect(presetByKey("MR", 2, header)).toMatchObject({ width: 600 });
    expect(presetByKey("MR", 9, header)).toBeNull();
  });

  it("converts windows as PS3.3 C.11.2.1.2 and back", () => {
    expect(windowRange(40, 400)).toEqual({ lower: -160, upper: 239 });
    for (const [center, width] of [
      [40, 400],
      [-600, 1500],
      [127.5, 1],
    ] as const) {
      const { lower, upper } = windowRange(center, width);
      const back = windowOf(lower, upper);
      expect(back.center).toBeCloseTo(center, 6);
      expect(back.width).toBeCloseTo(width, 6);
    }
  });
});

describe("keymap", () => {
  const press = (key: string, more: Partial<KeyPress> = {}): KeyPress => ({
    key,
    ctrlKey: false,
    metaKey: false,
    shiftKey: false,
    altKey: false,
    ...more,
  });

  it("has no reserved and no unreadable keys", () => {
    expect(keymapConflicts(BIR)).toEqual([]);
    expect(keymapConflicts({ tab: "view.help" })).toEqual([{ key: "tab", reason: "reserved" }]);
    expect(keymapConflicts({ "w+shift": "view.help" })).toEqual([{ key: "w+shift", reason: "unknown_form" }]);
  });

  it("reaches every command of basic image review", () => {
    const wanted: Command[] = [
      "tool.scroll",
      "tool.window",
      "tool.zoom",
      "tool.pan",
      "tool.length",
      "tool.angle",
      "view.reference_lines",
      "view.overlay",
      "view.cine",
      "view.reset",
      "view.print",
      "view.help",
      "image.next",
      "image.previous",
      "series.next",
      "series.previous",
    ];
    expect(unreachable(BIR, wanted)).toEqual([]);
    expect(unreachable({}, ["view.help"])).toEqual(["view.help"]);
  });

  it("keeps the keys of the profile", () => {
    const profile: Record<string, Command> = {
      s: "tool.scroll",
      w: "tool.window",
      z: "tool.zoom",
      t: "tool.pan",
      d: "tool.length",
      a: "tool.angle",
      o: "view.reference_lines",
      i: "view.overlay",
      c: "view.cine",
      escape: "view.reset",
      p: "view.print",
      h: "view.help",
    };
    for (const [key, command] of Object.entries(profile)) expect(BIR[key]).toBe(command);
  });

  it("reads presses by the physical digit, whatever Shift makes of it", () => {
    expect(keyName(press("!", { code: "Digit1", shiftKey: true }))).toBe("shift+1");
    expect(commandFor(BIR, press("@", { code: "Digit2", shiftKey: true }))).toBe("layout.1x2");
    expect(commandFor(BIR, press("W"))).toBe("tool.window");
    expect(commandFor(BIR, press("ArrowDown", { metaKey: true }))).toBe("image.forward");
  });

  it("leaves Alt, input methods and unknown keys alone", () => {
    expect(commandFor(BIR, press("n", { altKey: true }))).toBeNull();
    expect(commandFor(BIR, press("w", { isComposing: true }))).toBeNull();
    expect(commandFor(BIR, press("Process"))).toBeNull();
    expect(commandFor(BIR, press("Tab"))).toBeNull();
    expect(commandFor(BIR, press("c", { ctrlKey: true }))).toBeNull();
  });
});

describe("mirror safety", () => {
  it("mirrors projections and nothing else", () => {
    expect(["DX", "CR", "MG"].every(mayMirror)).toBe(true);
    expect(["CT", "MR", "PT", "US", "NM", ""].some(mayMirror)).toBe(false);
  });
});

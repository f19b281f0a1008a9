import { beforeEach, describe, expect, it } from "vitest";
import { Problem } from "@/api/problem";
import type { Report } from "@/api/types";
import { checksOf } from "./checks";
import { changedParts, diffText, tokens } from "./diff";
import { needsSave, reduce, startDraft, textOf, type Draft } from "./draft";
import { insertAt, nextPlaceholder } from "./placeholders";
import { drop, find, keep, sweep } from "./recovery";

const REPORT: Report = {
  id: "r1",
  order_id: "o1",
  stage: "trainee",
  rev: 4,
  findings: "双肺清晰。",
  impression: "未见异常。",
  advice: "",
  updated_at: "2026-11-24T01:00:00Z",
  updated_by: "甲",
  template: null,
  locked_by: null,
  opinion: null,
  versions: [],
  can: ["edit"],
};

function typed(draft: Draft, value: string): Draft {
  return reduce(draft, { type: "typed", section: "findings", value });
}

describe("draft", () => {
  it("is dirty only while it differs from the server's text", () => {
    const dirty = typed(startDraft(REPORT), "左肺结节。");
    expect(dirty.phase).toBe("dirty");
    expect(needsSave(dirty)).toBe(true);
    expect(typed(dirty, REPORT.findings).phase).toBe("clean");
  });

  it("is clean after a save, and dirty again when typing went on meanwhile", () => {
    const sending = reduce(typed(startDraft(REPORT), "一"), { type: "sending" });
    expect(sending.phase).toBe("saving");
    const saved = { ...REPORT, rev: 5, findings: "一" };
    expect(reduce(sending, { type: "saved", report: saved }).phase).toBe("clean");
    const later = reduce(typed(sending, "一二"), { type: "saved", report: saved });
    expect(later.phase).toBe("dirty");
    expect(later.base.rev).toBe(5);
    expect(later.text.findings).toBe("一二");
  });

  it("keeps the text when a save fails", () => {
    const failed = reduce(reduce(typed(startDraft(REPORT), "一"), { type: "sending" }), {
      type: "failed",
      problem: new Problem({ status: 0, code: "network.unreachable" }),
    });
    expect(failed.phase).toBe("offline");
    expect(failed.text.findings).toBe("一");
    expect(needsSave(failed)).toBe(true);
  });

  it("shows both texts when two people wrote, and loses neither", () => {
    const theirs = { ...REPORT, rev: 6, findings: "右肺斑片影。", updated_by: "乙" };
    const met = reduce(typed(startDraft(REPORT), "左肺结节。"), { type: "stale", theirs });
    expect(met.phase).toBe("conflict");
    expect(needsSave(met)).toBe(false);
    expect(met.text.findings).toBe("左肺结节。");
    const mine = reduce(met, { type: "keep_mine" });
    expect(mine).toMatchObject({ phase: "dirty", theirs: null, base: { rev: 6 } });
    expect(mine.text.findings).toBe("左肺结节。");
    const other = reduce(met, { type: "take_theirs" });
    expect(other.phase).toBe("clean");
    expect(other.text.findings).toBe("右肺斑片影。");
  });

  it("goes on without asking when only one side changed the text", () => {
    const theirs = { ...REPORT, rev: 6, findings: "右肺斑片影。" };
    const adopted = reduce(startDraft(REPORT), { type: "loaded", report: theirs });
    expect(adopted).toMatchObject({ phase: "clean", text: { findings: "右肺斑片影。" } });
    const moved = reduce(typed(startDraft(REPORT), "一"), { type: "stale", theirs: { ...REPORT, rev: 7 } });
    expect(moved).toMatchObject({ phase: "dirty", base: { rev: 7 }, text: { findings: "一" } });
    const same = reduce(typed(startDraft(REPORT), "一"), {
      type: "loaded",
      report: { ...REPORT, rev: 8, findings: "一" },
    });
    expect(same).toMatchObject({ phase: "clean", base: { rev: 8 } });
  });

  it("ignores old answers and takes the echo of its own save for what it is", () => {
    const saved = reduce(startDraft(REPORT), { type: "loaded", report: { ...REPORT, rev: 9, findings: "新" } });
    expect(reduce(saved, { type: "loaded", report: REPORT })).toBe(saved);
    const sending = typed(reduce(typed(startDraft(REPORT), "一"), { type: "sending" }), "一二");
    const echoed = reduce(sending, { type: "loaded", report: { ...REPORT, rev: 5, findings: "一" } });
    expect(echoed.phase).toBe("saving");
    expect(echoed.text.findings).toBe("一二");
  });
});

describe("recovery", () => {
  const now = Date.parse("2026-11-24T02:00:00Z");
  const text = { ...textOf(REPORT), findings: "没有保存的文字" };
  beforeEach(() => localStorage.clear());

  it("finds what a crash left, for this report and this writer only", () => {
    keep(localStorage, "r1", "u1", { text, rev: 4, at: now });
    expect(find(localStorage, REPORT, "u1", now)?.text).toEqual(text);
    expect(find(localStorage, REPORT, "u2", now)).toBeNull();
    expect(find(localStorage, { ...REPORT, id: "r2" }, "u1", now)).toBeNull();
    drop(localStorage, "r1", "u1");
    expect(find(localStorage, REPORT, "u1", now)).toBeNull();
  });

  it("offers nothing that was saved, signed or is a day old, and removes it", () => {
    keep(localStorage, "r1", "u1", { text: textOf(REPORT), rev: 4, at: now });
    expect(find(localStorage, REPORT, "u1", now)).toBeNull();
    expect(localStorage.length).toBe(0);
    keep(localStorage, "r1", "u1", { text, rev: 4, at: now });
    expect(find(localStorage, { ...REPORT, stage: "final" }, "u1", now)).toBeNull();
    keep(localStorage, "r1", "u1", { text, rev: 4, at: now - 25 * 60 * 60_000 });
    expect(find(localStorage, REPORT, "u1", now)).toBeNull();
    expect(localStorage.length).toBe(0);
  });

  it("survives damaged storage and sweeps what nobody came for", () => {
    localStorage.setItem("mingying.report.r1.u1", "{broken");
    localStorage.setItem("other", "stays");
    expect(find(localStorage, REPORT, "u1", now)).toBeNull();
    sweep(localStorage, now);
    expect(Object.keys(localStorage)).toEqual(["other"]);
  });
});

describe("diff", () => {
  const apply = (from: string, to: string): void => {
    const parts = diffText(from, to);
    expect(
      parts
        .filter(({ op }) => op !== "insert")
        .map(({ text }) => text)
        .join(""),
    ).toBe(from);
    expect(
      parts
        .filter(({ op }) => op !== "delete")
        .map(({ text }) => text)
        .join(""),
    ).toBe(to);
  };

  it("splits Chinese by character and keeps words and numbers whole", () => {
    expect(tokens("左肺 12.5 mm结节 CT")).toEqual(["左", "肺", " ", "12.5", " ", "mm", "结", "节", " ", "CT"]);
  });

  it("rebuilds both texts from its parts", () => {
    for (const [from, to] of [
      ["", ""],
      ["", "新"],
      ["旧", ""],
      ["左肺上叶结节约 5 mm。", "左肺上叶结节约 6 mm，边缘毛糙。"],
      ["a b c d", "b c x d"],
      ["双肺清晰\n心影不大", "双肺清晰\n\n心影增大 12%"],
    ] as const) {
      apply(from, to);
    }
  });

  it("marks only what changed", () => {
    const parts = diffText("左肺结节约 5 mm。", "左肺结节约 6 mm。");
    expect(parts).toEqual([
      { op: "equal", text: "左肺结节约 " },
      { op: "delete", text: "5" },
      { op: "insert", text: "6" },
      { op: "equal", text: " mm。" },
    ]);
    expect(changedParts(parts)).toBe(2);
    expect(changedParts(diffText("同", "同"))).toBe(0);
  });

  it("stays quick on very long texts", () => {
    const long = Array.from({ length: 6000 }, (_, at) => `字${at}`).join("");
    const other = Array.from({ length: 6000 }, (_, at) => `别${at}`).join("");
    apply(long, other);
  });
});

describe("placeholders", () => {
  it("goes from place to place and begins again", () => {
    const text = "大小约 {大小} mm，位于 ____，见 ×× 个";
    const first = nextPlaceholder(text, 0);
    expect(text.slice(first?.start, first?.end)).toBe("{大小}");
    const second = nextPlaceholder(text, first?.end ?? 0);
    expect(text.slice(second?.start, second?.end)).toBe("____");
    expect(nextPlaceholder(text, text.length)).toEqual(first);
    expect(nextPlaceholder("12 × 15 mm", 0)).toBeNull();
  });

  it("inserts a sentence with the spacing of prose", () => {
    expect(insertAt("见结节", { start: 3, end: 3 }, "长度 5 mm").text).toBe("见结节 长度 5 mm");
    expect(insertAt("见结节，", { start: 4, end: 4 }, "长度 5 mm").text).toBe("见结节，长度 5 mm");
    expect(insertAt("大小 {大小}。", { start: 3, end: 7 }, "5 mm")).toEqual({ text: "大小 5 mm。", cursor: 7 });
  });
});

describe("checks before signing", () => {
  it("reads them from the problem", () => {
    const error = new Problem({
      status: 409,
      code: "report.checks",
      params: { checks: "side:findings sides_differ:impression", blocking: "false" },
    });
    expect(checksOf(error)).toEqual({
      found: [
        { code: "side", section: "findings" },
        { code: "sides_differ", section: "impression" },
      ],
      blocking: false,
    });
    expect(
      checksOf(
        new Problem({ status: 422, code: "report.checks", params: { checks: "empty:impression", blocking: "true" } }),
      )?.blocking,
    ).toBe(true);
    expect(checksOf(new Problem({ status: 409, code: "report.stale" }))).toBeNull();
  });
});

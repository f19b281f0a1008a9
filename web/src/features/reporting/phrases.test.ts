import { describe, expect, it } from "vitest";
import type { Phrase } from "@/api/types";
import { fill, pieces } from "./macros";
import { answer, exportText, findPhrases, importText, joint, spells, triggerAt } from "./phrases";

function phrase(name: string, spelled: string, more: Partial<Phrase> = {}): Phrase {
  return {
    id: name,
    shared: true,
    code: "",
    name,
    spelled,
    category: "",
    modality: "",
    body_part: "",
    section: "",
    text: `${name}。`,
    version: 1,
    updated_at: "2026-11-24T01:00:00Z",
    updated_by: "甲",
    deleted_at: null,
    ...more,
  };
}

describe("finding phrases", () => {
  const syllables = ["fei", "jie", "jie"];
  it("takes pinyin by initials, in full, and mixed", () => {
    for (const typed of ["f", "fjj", "feijj", "fjie", "feijiejie", "feji"]) expect(spells(syllables, typed), typed).toBe(true);
    for (const typed of ["fjjj", "jj", "fi", "feijiejiex"]) expect(spells(syllables, typed), typed).toBe(false);
  });

  it("puts the code before the name, the name before pinyin, the start before the middle", () => {
    const nodule = phrase("右肺结节", "you fei jie jie", { code: "yf" });
    expect(["yf", "y", "右肺", "yfjj", "结节", "fjj", "xyz"].map((typed) => answer(nodule, typed))).toEqual([0, 1, 2, 3, 4, 5, null]);
  });

  it("offers what fits the exam first, then the own before the shared", () => {
    const all = [
      phrase("肝囊肿", "gan nang zhong", { modality: "US" }),
      phrase("肝血管瘤", "gan xue guan liu"),
      phrase("肝硬化", "gan ying hua", { shared: false }),
      phrase("脾大", "pi da", { text: "肝脾。" }),
    ];
    const find = (whole: boolean) =>
      findPhrases(all, { text: "肝", whole, modality: "CT", bodyPart: "ABDOMEN" }).map(({ name }) => name);
    expect(find(false)).toEqual(["肝硬化", "肝血管瘤", "肝囊肿"]);
    expect(find(true), "the menu looks into the texts too").toEqual(["肝硬化", "肝血管瘤", "脾大", "肝囊肿"]);
  });

  it("is called by letters behind a semicolon, never by prose", () => {
    expect(triggerAt("双肺清晰。;fjj", 9)).toEqual({ start: 5, end: 9, text: "fjj" });
    expect(triggerAt("双肺；fj", 5)?.text).toBe("fj");
    for (const text of ["；右肺", "a; b", ";", "fjj", ";fjj "]) expect(triggerAt(text, text.length), text).toBeNull();
    expect(triggerAt(";fjj", 2)?.text, "up to the cursor").toBe("f");
  });

  it("parts Latin words, not Chinese", () => {
    expect([joint("seen.", "No mass"), joint("结节", "边界清"), joint("seen ", "No")]).toEqual([" ", "", ""]);
  });
});

describe("places that the case fills", () => {
  const fields = { age: "46岁", prior_date: "2025-01-02", last_measurement: " " };
  it("fills what is known in either language and leaves the rest to the writer", () => {
    expect(fill("{年龄}，{prior date}，{大小}，{最近测量}，{Age}", fields)).toBe("46岁，2025-01-02，{大小}，{最近测量}，46岁");
    expect(pieces("见{大小}于{年龄}", fields).map(({ kind }) => kind)).toEqual(["text", "open", "text", "filled"]);
  });
});

describe("the file of phrases", () => {
  it("comes back as it went", () => {
    const all = [phrase("肺结节", "fei jie jie", { code: "fjj", section: "findings", text: "甲\n乙" })];
    const back = importText(exportText(all));
    expect(back).toEqual([{ code: "fjj", name: "肺结节", category: "", modality: "", body_part: "", section: "findings", text: "甲\n乙" }]);
  });
  it("is told from other files", () => {
    for (const text of ["", "[]", "{}", '{"format":"mingying-phrases","version":2,"phrases":[]}', '{"format":"mingying-phrases","version":1,"phrases":[1]}']) {
      expect(importText(text), text).toBeNull();
    }
  });
});

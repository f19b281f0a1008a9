// @vitest-environment jsdom
import { describe, expect, it } from "vitest";
import type { TemplateVersion } from "@/api/types";
import { fromMrrt, toMrrt } from "./mrrt";
import { choiceAt } from "./placeholders";
import { byCode } from "./templates";

const version = (code: string, n: number, state: TemplateVersion["state"]): TemplateVersion => ({
  code,
  version: n,
  state,
  name: "胸部CT 肺结节",
  name_en: "CT chest, nodule",
  modality: "CT",
  body_part: "CHEST",
  findings: "{部位}见一{密度|实性|磨玻璃}结节，<大小>约{大小} & 边界清。\n余肺清晰。",
  impression: "{部位}结节。",
  advice: "",
  source: "专家共识 2024",
  rev: 1,
  author: "甲",
  own: false,
  updated_at: "2026-11-24T01:00:00Z",
  approved_by: null,
  approved_at: null,
  retired_at: null,
});

describe("templates", () => {
  it("are grouped by code, with the draft and the version in use", () => {
    const [first, second] = byCode([version("A", 1, "retired"), version("A", 2, "approved"), version("A", 3, "draft"), version("B", 1, "retired")]);
    expect([first?.newest.version, first?.draft?.version, first?.approved?.version]).toEqual([3, 3, 2]);
    expect([second?.draft, second?.approved]).toEqual([null, null]);
  });

  it("go out as MRRT and come back the same", () => {
    const sent = version("CT-CHEST-NOD", 2, "approved");
    const back = fromMrrt(toMrrt(sent, "医院"));
    const { code, name, name_en, modality, body_part, findings, impression, advice, source } = sent;
    expect(back).toEqual({ code, rev: null, name, name_en, modality, body_part, findings, impression, advice, source });
  });

  it("come in from elsewhere: sections by name, fields as places, what is no report refused", () => {
    const page = `<html><head><title>Chest X-ray</title><meta name="dcterms.subject" content="CR, Chest"></head><body>
      <section data-section-name="Procedure Information"><p>ignored</p></section>
      <section data-section-name="Findings"><header>Findings</header>
        <p>Heart: <select name="Heart size"><option>normal</option><option>enlarged</option></select>.</p>
        <p>Effusion <input type="text" name="Effusion"> <input type="text" value="none"></p></section>
      <section data-section-name="Impression"><textarea name="Summary"></textarea></section></body></html>`;
    expect(fromMrrt(page)).toMatchObject({
      name: "Chest X-ray",
      modality: "CR",
      body_part: "CHEST",
      findings: "Heart: {Heart size|normal|enlarged}.\nEffusion {Effusion} none",
      impression: "{Summary}",
    });
    expect(fromMrrt("<p>hello</p>")).toBeNull();
  });

  it("offer words where a place names them, when it is marked as a whole", () => {
    const text = "见{密度|实性| 磨玻璃 }结节{大小}";
    expect(choiceAt(text, { start: 1, end: 14 })).toEqual({ start: 1, end: 14, name: "密度", options: ["实性", "磨玻璃"] });
    expect(choiceAt(text, { start: 1, end: 13 })).toBeNull();
    expect(choiceAt("{大小}", { start: 0, end: 4 })).toBeNull();
  });
});

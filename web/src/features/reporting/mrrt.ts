import type { TemplateDraft, TemplateVersion } from "@/api/types";
import { SECTIONS, type Section } from "./draft";

/**
 * Templates as IHE Management of Radiology Report Templates writes them (MRRT, RAD TF-3 4.103): an HTML 5 page whose
 * sections hold text and form fields. A place `{大小}` is a text field, `{密度|实性|磨玻璃}` a selection.
 */
const NAMES: Record<Section, { title: string; code: string; meaning: string }> = {
  findings: { title: "Findings", code: "59776-5", meaning: "Procedure findings" },
  impression: { title: "Impression", code: "19005-8", meaning: "Radiology Imaging study [Impression]" },
  advice: { title: "Recommendation", code: "18783-1", meaning: "Radiology Study recommendation" },
};

const ESCAPES: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escape = (text: string): string => text.replace(/[&<>"]/g, (character) => ESCAPES[character] ?? character);

function fieldsOf(text: string, section: Section): string {
  let count = 0;
  return text.split("\n").map((line) => {
    const body = line.split(/(\{[^{}\n]*\})/).map((part) => {
      if (!/^\{.*\}$/.test(part)) return escape(part);
      count += 1;
      const [name = "", ...options] = part.slice(1, -1).split("|").map((word) => word.trim());
      const id = `${section}-${count}`;
      if (options.length === 0) return `<input type="text" id="${id}" name="${escape(name)}" value="" />`;
      const choices = options.map((option) => `<option value="${escape(option)}">${escape(option)}</option>`).join("");
      return `<select id="${id}" name="${escape(name)}">${choices}</select>`;
    });
    return `      <p>${body.join("")}</p>`;
  }).join("\n");
}

export function toMrrt(template: TemplateVersion, publisher: string): string {
  const meta = (name: string, content: string): string => `    <meta name="${name}" content="${escape(content)}" />`;
  const sections = SECTIONS.filter((section) => template[section] !== "");
  const terms = sections.map((section) => {
    const { code, meaning } = NAMES[section];
    return `        <term><code meaning="${escape(meaning)}" value="${code}" scheme="LN" /></term>`;
  });
  return `${[
    "<!DOCTYPE html>",
    '<html lang="zh-CN">',
    "  <head>",
    '    <meta charset="UTF-8" />',
    `    <title>${escape(template.name)}</title>`,
    meta("dcterms.title", template.name),
    meta("dcterms.alternative", template.name_en),
    meta("dcterms.identifier", `${template.code}@${template.version}`),
    meta("dcterms.type", "IMAGE_REPORT_TEMPLATE"),
    meta("dcterms.language", "zh-CN"),
    meta("dcterms.publisher", publisher),
    meta("dcterms.creator", template.author),
    meta("dcterms.date", template.updated_at.slice(0, 10)),
    meta("dcterms.source", template.source),
    meta("dcterms.subject", [template.modality, template.body_part].filter((part) => part !== "").join(" ")),
    '    <script type="text/xml">',
    "      <template_attributes>",
    `        <top-level-flag>true</top-level-flag><status>${template.state === "approved" ? "ACTIVE" : template.state === "draft" ? "DRAFT" : "RETIRED"}</status>`,
    ...terms,
    "      </template_attributes>",
    "    </script>",
    "  </head>",
    "  <body>",
    ...sections.flatMap((section) => [
      `    <section id="${section}" class="level1" data-section-name="${NAMES[section].title}">`,
      `      <header class="level1">${NAMES[section].title}</header>`,
      fieldsOf(template[section], section),
      "    </section>",
    ]),
    "  </body>",
    "</html>",
  ].join("\n")}\n`;
}

const KINDS: readonly (readonly [Section, RegExp])[] = [
  ["findings", /finding|所见|observation/i],
  ["impression", /impression|conclusion|诊断|意见|结论/i],
  ["advice", /recommend|advice|建议/i],
];

const BLOCKS = new Set(["P", "DIV", "LI", "TR", "SECTION", "BR"]);

/** The text of an element, with its form fields as places. */
function textOf(node: Node): string {
  if (node.nodeType === Node.TEXT_NODE) return (node.textContent ?? "").replace(/\s+/g, " ");
  if (!(node instanceof Element)) return "";
  // What an option list says belongs to its field; a heading names the section.
  const label = (): string =>
    (node.getAttribute("title") ?? node.getAttribute("name") ?? node.getAttribute("data-field-name") ?? "").replace(/[{}|]/g, "").trim();
  switch (node.tagName) {
    case "SCRIPT":
    case "STYLE":
    case "HEADER":
      return "";
    case "SELECT": {
      const options = [...node.querySelectorAll("option")].map((option) => (option.textContent ?? "").replace(/[{}|]/g, "").trim());
      return `{${[label(), ...options.filter((option) => option !== "")].join("|")}}`;
    }
    case "TEXTAREA":
      return node.textContent?.trim() || `{${label()}}`;
    case "INPUT":
      return node.getAttribute("value")?.trim() || (/^(checkbox|radio)$/.test(node.getAttribute("type") ?? "") ? "" : `{${label()}}`);
  }
  const inner = [...node.childNodes].map(textOf).join("");
  return BLOCKS.has(node.tagName) ? `\n${inner}\n` : inner;
}

export interface ImportedTemplate extends TemplateDraft {
  code: string;
}

/** A template from an MRRT page; null when it has no section that a report has. */
export function fromMrrt(html: string): ImportedTemplate | null {
  const page = new DOMParser().parseFromString(html, "text/html");
  const meta = (name: string): string => page.querySelector(`meta[name="${name}" i]`)?.getAttribute("content")?.trim() ?? "";
  const text: Record<Section, string> = { findings: "", impression: "", advice: "" };
  for (const section of page.querySelectorAll("section")) {
    // Sections within sections are read with the outer one.
    if (section.parentElement?.closest("section")) continue;
    const name = section.getAttribute("data-section-name") ?? section.querySelector("header")?.textContent ?? section.id;
    const kind = KINDS.find(([, words]) => words.test(name))?.[0];
    if (kind === undefined) continue;
    const lines = textOf(section).split("\n").map((line) => line.trim()).filter((line) => line !== "");
    text[kind] = [text[kind], ...lines].filter((line) => line !== "").join("\n");
  }
  if (text.findings === "" && text.impression === "") return null;
  const title = meta("dcterms.title") || page.title.trim();
  const subject = meta("dcterms.subject").toUpperCase().split(/[\s,;]+/);
  const modality = subject.find((word) => /^(CT|MR|DX|CR|US|MG|RF|XA|PT|NM)$/.test(word)) ?? "";
  return {
    code: (meta("dcterms.identifier").split("@")[0] ?? "").replace(/[^A-Za-z0-9_-]+/g, "-").slice(0, 64).toUpperCase(),
    rev: null,
    name: title.slice(0, 128),
    name_en: (meta("dcterms.alternative") || title).slice(0, 128),
    modality,
    body_part: subject.find((word) => word !== modality && /^[A-Z]{3,16}$/.test(word)) ?? "",
    source: (meta("dcterms.source") || meta("dcterms.publisher")).slice(0, 256),
    ...text,
  };
}

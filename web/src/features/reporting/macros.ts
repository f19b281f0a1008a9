/**
 * Places of a phrase or a template that the case fills: `{年龄}`, `{prior date}`. A place whose field the case lacks
 * stays, and the writer fills it like any other.
 */
const NAMES = {
  patient_name: ["患者姓名", "patient name"],
  sex: ["性别", "sex"],
  age: ["年龄", "age"],
  exam: ["检查项目", "exam"],
  exam_date: ["检查日期", "exam date"],
  side: ["侧别", "side"],
  diagnosis: ["临床诊断", "diagnosis"],
  history: ["病史", "history"],
  accession: ["检查号", "accession"],
  prior_date: ["既往日期", "prior date"],
  prior_exam: ["既往检查", "prior exam"],
  prior_impression: ["既往诊断", "prior impression"],
  last_measurement: ["最近测量", "last measurement"],
  all_measurements: ["全部测量", "all measurements"],
  today: ["今日", "today"],
} as const satisfies Record<string, readonly [string, string]>;

export type CaseField = keyof typeof NAMES;
/** What the case knows, in the words in which a report says it. */
export type CaseFields = Readonly<Partial<Record<CaseField, string>>>;

export const CASE_FIELDS = Object.keys(NAMES) as CaseField[];

/** The name of a field as one writes it between braces in this language. */
export function fieldName(field: CaseField, language: string): string {
  return NAMES[field][language === "en-US" ? 1 : 0];
}

const FIELDS = new Map<string, CaseField>(CASE_FIELDS.flatMap((field) => NAMES[field].map((name) => [name, field] as const)));

export interface Piece {
  readonly text: string;
  /** `filled` came from the case; `open` is left to the writer. */
  readonly kind: "text" | "filled" | "open";
}

/** A phrase as it would stand in this report, in pieces for a preview. */
export function pieces(text: string, fields: CaseFields): Piece[] {
  const found: Piece[] = [];
  let at = 0;
  for (const match of text.matchAll(/\{([^{}\n]*)\}/g)) {
    if (match.index > at) found.push({ text: text.slice(at, match.index), kind: "text" });
    const field = FIELDS.get((match[1] ?? "").trim().toLowerCase());
    const value = field === undefined ? undefined : fields[field]?.trim();
    found.push(value === undefined || value === "" ? { text: match[0], kind: "open" } : { text: value, kind: "filled" });
    at = match.index + match[0].length;
  }
  if (at < text.length) found.push({ text: text.slice(at), kind: "text" });
  return found;
}

export function fill(text: string, fields: CaseFields): string {
  return pieces(text, fields)
    .map((piece) => piece.text)
    .join("");
}

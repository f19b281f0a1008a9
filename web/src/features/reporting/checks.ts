import { asProblem } from "@/api/problem";
import { SECTIONS, type Section } from "./draft";

export interface FoundCheck {
  readonly code: string;
  readonly section: Section;
}

export interface Checks {
  readonly found: readonly FoundCheck[];
  /** Nothing but a change of the text helps. */
  readonly blocking: boolean;
}

/** The checks that stopped a signature: `params.checks` is `code:section code:section`. */
export function checksOf(error: unknown): Checks | null {
  const problem = asProblem(error);
  if (problem.code !== "report.checks") return null;
  const list = problem.params["checks"];
  const found = (typeof list === "string" ? list.split(/\s+/) : [])
    .map((entry) => entry.split(":"))
    .filter((parts) => parts[0] !== undefined && parts[0] !== "")
    .map(([code = "", section = ""]) => ({
      code,
      section: SECTIONS.find((known) => known === section) ?? "impression",
    }));
  const { blocking } = problem.params;
  return { found, blocking: blocking === true || blocking === "true" };
}

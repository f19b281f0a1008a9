import type { Report } from "@/api/types";

/**
 * The text in the editor and its way to the server, as a reducer: what was typed, what
 * was sent, what the server has. Network and timers are outside.
 */
export const SECTIONS = ["findings", "impression", "advice"] as const;
export type Section = (typeof SECTIONS)[number];
export type Text = Readonly<Record<Section, string>>;

export interface Draft {
  readonly text: Text;
  /** The newest state of the server that this text builds on. */
  readonly base: Report;
  readonly phase: "clean" | "dirty" | "saving" | "offline" | "conflict";
  /** What is on its way. */
  readonly sent: Text | null;
  /** Somebody else's newer text, until the writer has decided. */
  readonly theirs: Report | null;
  readonly problem: unknown;
}

export type Action =
  | { type: "typed"; section: Section; value: string }
  | { type: "replaced"; text: Text }
  | { type: "sending" }
  | { type: "saved"; report: Report }
  | { type: "failed"; problem: unknown }
  | { type: "stale"; theirs: Report }
  | { type: "loaded"; report: Report }
  | { type: "keep_mine" }
  | { type: "take_theirs" };

export function textOf(report: Pick<Report, Section>): Text {
  return { findings: report.findings, impression: report.impression, advice: report.advice };
}

export function sameText(a: Text, b: Text): boolean {
  return SECTIONS.every((section) => a[section] === b[section]);
}

export function startDraft(report: Report): Draft {
  return { text: textOf(report), base: report, phase: "clean", sent: null, theirs: null, problem: null };
}

export function reduce(draft: Draft, action: Action): Draft {
  switch (action.type) {
    case "typed":
      return changed(draft, { ...draft.text, [action.section]: action.value });
    case "replaced":
      return changed(draft, action.text);
    case "sending":
      return draft.phase === "conflict" ? draft : { ...draft, phase: "saving", sent: draft.text, problem: null };
    case "saved":
      // The server may have unified line ends: what was sent and not changed since is saved.
      return sameText(draft.text, draft.sent ?? textOf(action.report))
        ? startDraft(action.report)
        : { ...draft, base: action.report, sent: null, problem: null, phase: "dirty" };
    case "failed":
      return draft.phase === "conflict" ? draft : { ...draft, phase: "offline", sent: null, problem: action.problem };
    case "stale":
      return meet({ ...draft, sent: null }, action.theirs);
    case "loaded":
      return loaded(draft, action.report);
    case "keep_mine":
      return draft.theirs === null
        ? draft
        : { ...draft, base: draft.theirs, theirs: null, phase: "dirty", problem: null };
    case "take_theirs":
      return draft.theirs === null ? draft : startDraft(draft.theirs);
  }
}

function changed(draft: Draft, text: Text): Draft {
  if (draft.phase === "conflict" || draft.phase === "saving") return { ...draft, text };
  return { ...draft, text, phase: sameText(text, textOf(draft.base)) ? "clean" : "dirty" };
}

/** Newer text of somebody else: a conflict only when both sides have changed something. */
function meet(draft: Draft, theirs: Report): Draft {
  if (sameText(draft.text, textOf(theirs))) return { ...startDraft(theirs), text: draft.text };
  if (sameText(draft.text, textOf(draft.base))) return startDraft(theirs);
  // Only the revision moved (for example by a stage change): the text can be saved on top.
  if (sameText(textOf(theirs), textOf(draft.base))) return { ...draft, base: theirs, phase: "dirty", problem: null };
  return { ...draft, theirs, phase: "conflict", problem: null };
}

function loaded(draft: Draft, report: Report): Draft {
  if (report.id !== draft.base.id) return startDraft(report);
  if (report.rev < draft.base.rev) return draft;
  if (report.rev === draft.base.rev) return { ...draft, base: report };
  // The answer to our own save may come after a live refresh has told of it.
  if (draft.phase === "saving" && draft.sent !== null && sameText(draft.sent, textOf(report))) {
    return { ...draft, base: report };
  }
  return meet(draft, report);
}

/** Whether the timer should send now. */
export function needsSave(draft: Draft): boolean {
  return draft.phase === "dirty" || draft.phase === "offline";
}

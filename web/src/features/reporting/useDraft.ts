import { useCallback, useEffect, useReducer, useRef } from "react";
import { asProblem } from "@/api/problem";
import type { Report } from "@/api/types";
import { reports } from "./api";
import { needsSave, reduce, startDraft, type Draft, type Section, type Text } from "./draft";
import { drop, keep } from "./recovery";

/** Text reaches the server this long after a change. */
export const AUTOSAVE_MS = 3000;
const RETRY_MS = 5000;
const KEEP_MS = 400;
const COMPOSITION_MS = 500;

/** A refusal stays a refusal; a lost network or a server in trouble is asked again. */
function mayRetry(problem: unknown): boolean {
  const { status } = asProblem(problem);
  return status === 0 || status >= 500;
}

export interface DraftHandle {
  readonly draft: Draft;
  type(section: Section, value: string): void;
  replace(text: Text): void;
  /** Notes the template that the text began with, `CT-CHEST-N@2`, with the next save. */
  began(template: string): void;
  keepMine(): void;
  takeTheirs(): void;
  /** True between the first and the last key of an input method; nothing is saved meanwhile. */
  composing(now: boolean): void;
  /** Sends what is open and returns the server's report, or null when it could not be saved. */
  flush(): Promise<Report | null>;
  adopt(report: Report): void;
}

/** One report in one editor. Remount (by key) for another report. */
export function useDraft(report: Report, userId: string, onSaved: (report: Report) => void): DraftHandle {
  const [draft, dispatch] = useReducer(reduce, report, startDraft);
  const current = useRef(draft);
  const inComposition = useRef(false);
  const template = useRef<string | undefined>(undefined);
  const saving = useRef<Promise<Report | null> | null>(null);
  const told = useRef(onSaved);

  useEffect(() => {
    current.current = draft;
    told.current = onSaved;
  });

  useEffect(() => {
    dispatch({ type: "loaded", report });
  }, [report]);

  const save = useCallback((): Promise<Report | null> => {
    const before = saving.current;
    if (before !== null) return before;
    const { text, base } = current.current;
    dispatch({ type: "sending" });
    const attempt = (async () => {
      try {
        const saved = await reports.save(base.id, text, base.rev, template.current);
        dispatch({ type: "saved", report: saved });
        drop(localStorage, base.id, userId);
        told.current(saved);
        return saved;
      } catch (error) {
        if (asProblem(error).code === "report.stale") {
          try {
            dispatch({ type: "stale", theirs: await reports.read(base.id) });
            return null;
          } catch (failure) {
            dispatch({ type: "failed", problem: failure });
            return null;
          }
        }
        dispatch({ type: "failed", problem: error });
        return null;
      } finally {
        saving.current = null;
      }
    })();
    saving.current = attempt;
    return attempt;
  }, [userId]);

  const retryable = draft.phase !== "offline" || mayRetry(draft.problem);
  useEffect(() => {
    if (!needsSave(draft) || !retryable) return undefined;
    let timer: ReturnType<typeof setTimeout>;
    const tick = (): void => {
      if (inComposition.current) timer = setTimeout(tick, COMPOSITION_MS);
      else void save();
    };
    timer = setTimeout(tick, draft.phase === "offline" ? RETRY_MS : AUTOSAVE_MS);
    return () => clearTimeout(timer);
    // The timer runs from the first unsaved change: typing on must not put saving off for ever.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [draft.phase, draft.base.rev, retryable, save]);

  useEffect(() => {
    if (draft.phase === "clean") {
      drop(localStorage, draft.base.id, userId);
      return undefined;
    }
    const { text, base } = draft;
    const timer = setTimeout(
      () => keep(localStorage, base.id, userId, { text, rev: base.rev, at: Date.now() }),
      KEEP_MS,
    );
    return () => clearTimeout(timer);
  }, [draft, userId]);

  const flush = useCallback(async (): Promise<Report | null> => {
    if (saving.current !== null) await saving.current;
    const { phase, base } = current.current;
    if (phase === "clean") return base;
    if (phase === "conflict") return null;
    return save();
  }, [save]);

  useEffect(() => {
    // Leaving the page or the tab sends what is open; storage has it in any case.
    const leave = (): void => {
      if (document.visibilityState === "hidden" && needsSave(current.current)) void save();
    };
    document.addEventListener("visibilitychange", leave);
    return () => {
      document.removeEventListener("visibilitychange", leave);
      if (needsSave(current.current)) void save();
    };
  }, [save]);

  return {
    draft,
    type: useCallback((section, value) => dispatch({ type: "typed", section, value }), []),
    replace: useCallback((text) => dispatch({ type: "replaced", text }), []),
    began: useCallback((note) => {
      template.current = note;
    }, []),
    keepMine: useCallback(() => dispatch({ type: "keep_mine" }), []),
    takeTheirs: useCallback(() => dispatch({ type: "take_theirs" }), []),
    composing: useCallback((now) => {
      inComposition.current = now;
    }, []),
    flush,
    adopt: useCallback((next) => dispatch({ type: "loaded", report: next }), []),
  };
}

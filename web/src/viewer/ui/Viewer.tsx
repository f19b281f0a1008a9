import { useCallback, useEffect, useState, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { setMeasurementWords } from "../cornerstone/tools";
import { grownOf } from "../model/grown";
import { BIR, commandFor, type Command } from "../model/keymap";
import { useStore } from "../session/useStore";
import { PANES, type SeriesRef, type ViewerSession } from "../session/ViewerSession";
import { runCommand } from "./commands";
import { Help } from "./Help";
import type { OverlayCase } from "./Overlay";
import { Pane } from "./Pane";
import { Toolbar } from "./Toolbar";
import css from "./Viewer.module.css";

interface Props {
  session: ViewerSession;
  /** In hanging order; PgUp and PgDn step through them. */
  series: readonly SeriesRef[];
  /** What stands in the corners of a viewport that shows a series of this study. */
  subjectOf: (studyUid: string) => OverlayCase | null;
  toolbar?: ReactNode;
}

/** True for key presses that belong to a text or to a control, not to the viewer. */
function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.isContentEditable ||
    target.closest("input, textarea, select, [role=dialog], [role=menu], [role=listbox], [role=combobox]") !== null
  );
}

export function Viewer({ session, series, subjectOf, toolbar }: Props) {
  const { t, i18n } = useTranslation("viewer");
  const state = useStore(session);
  const [help, setHelp] = useState(false);

  useEffect(() => {
    setMeasurementWords({
      area: t("stats.area"),
      mean: t("stats.mean"),
      min: t("stats.min"),
      max: t("stats.max"),
      deviation: t("stats.deviation"),
    });
  }, [t, i18n.language]);

  const run = useCallback(
    (command: Command) => {
      if (command === "view.help") setHelp((open) => !open);
      else runCommand(session, command, series);
    },
    [session, series],
  );

  useEffect(() => {
    const press = (event: KeyboardEvent): void => {
      if (event.defaultPrevented) return;
      if (help) {
        if (event.key === "Escape") setHelp(false);
        return;
      }
      if (typing(event.target)) return;
      const command = commandFor(BIR, event);
      if (command === null) return;
      event.preventDefault();
      run(command);
    };
    window.addEventListener("keydown", press);
    return () => window.removeEventListener("keydown", press);
  }, [run, help]);

  const count = PANES[state.layout];
  return (
    <div className={css.viewer}>
      <Toolbar session={session} state={state} run={run} extra={toolbar} />
      <div className={css.grid} data-layout={state.layout}>
        {state.panes.slice(0, count).map((pane, at) => (
          <Pane
            key={at}
            session={session}
            at={at}
            pane={pane}
            active={state.active === at}
            alone={count === 1}
            overlay={state.overlay}
            subject={pane.ref === null ? null : subjectOf(pane.ref.studyUid)}
            grown={grownOf(pane.ref, series)}
          />
        ))}
      </div>
      {help && <Help onClose={() => setHelp(false)} />}
    </div>
  );
}

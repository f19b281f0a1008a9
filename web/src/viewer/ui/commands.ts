import type { Command } from "../model/keymap";
import type { ToolName } from "../cornerstone/tools";
import type { Layout, SeriesRef, ViewerSession } from "../session/ViewerSession";
import { printPane } from "./print";

/** Large steps of Ctrl+arrow. */
const LEAP = 10;

export function runCommand(session: ViewerSession, command: Command, series: readonly SeriesRef[]): void {
  const [kind, name] = split(command);
  if (kind === "tool") session.setTool(name as ToolName);
  else if (kind === "preset") session.preset(Number(name));
  else if (kind === "layout") session.setLayout(name as Layout);
  else other(session, command, series);
}

function split(command: Command): [string, string] {
  const dot = command.indexOf(".");
  return [command.slice(0, dot), command.slice(dot + 1)];
}

function other(session: ViewerSession, command: Command, series: readonly SeriesRef[]): void {
  switch (command) {
    case "image.next":
      return session.scroll(1);
    case "image.previous":
      return session.scroll(-1);
    case "image.forward":
      return session.scroll(LEAP);
    case "image.back":
      return session.scroll(-LEAP);
    case "image.first":
      return session.jump(0);
    case "image.last":
      return session.jump(Number.MAX_SAFE_INTEGER);
    case "image.invert":
      return session.invert();
    case "image.rotate":
      return session.rotate();
    case "image.flip_horizontal":
      session.flip("horizontal");
      return;
    case "image.flip_vertical":
      session.flip("vertical");
      return;
    case "series.next":
      return step(session, series, 1);
    case "series.previous":
      return step(session, series, -1);
    case "view.reset":
      return session.reset();
    case "view.overlay":
      return session.cycleOverlay();
    case "view.cine":
      return session.toggleCine();
    case "view.reference_lines":
      return session.toggleReferenceLines();
    case "view.print":
      return printPane(session.snapshot());
    case "measure.delete":
      return session.deleteSelected();
    default:
      return;
  }
}

/** The next series of the list in the active viewport; it stops at either end. */
function step(session: ViewerSession, series: readonly SeriesRef[], by: 1 | -1): void {
  const { active, panes } = session.state;
  const current = series.findIndex((ref) => ref.seriesUid === panes[active]?.ref?.seriesUid);
  const next = series[current === -1 ? 0 : current + by];
  if (next !== undefined) void session.show(active, next);
}

export { ReportEditor, type EditorHandle } from "./ReportEditor";
export { ShareDialog } from "./ShareDialog";
export { reports } from "./api";
export { sweep as sweepDrafts } from "./recovery";

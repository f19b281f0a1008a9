export { ReportEditor, type EditorHandle } from "./ReportEditor";
export { PhrasesPage } from "./PhrasesPage";
export { TemplatesPage } from "./TemplatesPage";
export type { CaseFields } from "./macros";
export { ReportSheet } from "./ReportSheet";
export { ShareDialog } from "./ShareDialog";
export { reports } from "./api";
export { sweep as sweepDrafts } from "./recovery";

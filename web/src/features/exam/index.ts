export { ExamPanel } from "./ExamPanel";
export { useExamActs, examActsFor, type ExamAct } from "./acts";

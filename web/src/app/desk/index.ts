export { TodayPage } from "./TodayPage";
export { VisitPage } from "./VisitPage";
export { CalendarPage } from "./CalendarPage";
export { OrderPage } from "./OrderPage";
export { PatientRecordPage } from "./PatientRecordPage";
export { ReportPage } from "./ReportPage";

export { PatientPage } from "./PatientPage";

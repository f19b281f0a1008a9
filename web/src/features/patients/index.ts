export { PatientSearch } from "./PatientSearch";
export { PatientForm } from "./PatientForm";
export { patientQuery } from "./queries";

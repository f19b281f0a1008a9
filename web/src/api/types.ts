/**
 * The names that the client uses for what travels over `/api/v1`, made from the schemas of the OpenAPI
 * document. A field that the document does not know, or knows with another type, fails the type check
 * here. What is written by hand is only what the document cannot say: the words of an enumeration, and
 * that an absent value is sent as `null`.
 */
import type { components } from "./schema.gen";

type Schemas = components["schemas"];

/** Optional in the document means nullable and always sent. */
type Sent<T> = { [K in keyof T]-?: undefined extends T[K] ? Exclude<T[K], undefined> | null : T[K] };

/** The schema `T` with narrower types for some of its fields. */
type Narrow<T, N extends { [K in keyof N]: K extends keyof Sent<T> ? Sent<T>[K] : never }> = Omit<Sent<T>, keyof N> & N;

/** Lists are pages by key: `next` is the cursor of the following page. */
export interface Page<T> {
  items: T[];
  next: string | null;
}

export type Role =
  | "admin"
  | "registrar"
  | "nurse"
  | "tech"
  | "trainee"
  | "radiologist"
  | "senior"
  | "expert"
  | "clinician"
  | "qc"
  | "engineer"
  | "head"
  | "security";

export type SessionUser = Narrow<Schemas["SessionUser"], { roles: Role[] }>;
export type Session = Narrow<Schemas["Session"], { user: SessionUser }>;
export type SecondFactor = Schemas["SecondFactor"];
export type User = Narrow<Schemas["User"], { roles: Role[] }>;
export type AuditRow = Sent<Schemas["AuditRow"]>;
type DiskRoom = "enough" | "low" | "full";
export type Status = Narrow<Schemas["Status"], { blob: Narrow<Schemas["BlobStatus"], { room: DiskRoom }> }>;

export type Organization = Schemas["Organization"];
export type Campus = Schemas["Campus"];
export type Department = Narrow<Schemas["Department"], { kind: "imaging" | "clinical" }>;
export type Room = Schemas["Room"];
export type Device = Schemas["Device"];
export type CatalogueItem = Schemas["CatalogueItem"];
export type Directory = Narrow<Schemas["Directory"], { departments: Department[] }>;

export type Sex = "M" | "F" | "O" | "U";
export type PatientSummary = Narrow<Schemas["PatientSummary"], { sex: Sex }>;
export type IdentifierKind = "mrn" | "id_card" | "outpatient" | "inpatient" | "insurance" | "foreign" | "temporary";
export type PatientIdentifier = Narrow<Schemas["PatientIdentifier"], { kind: IdentifierKind }>;
export type AlertKind = "allergy" | "pregnancy" | "mdro" | "implant" | "egfr" | "other";
export type PatientAlert = Narrow<Schemas["PatientAlert"], { kind: AlertKind }>;
export type Patient = Narrow<Schemas["Patient"], { sex: Sex; identifiers: PatientIdentifier[]; alerts: PatientAlert[] }>;
export type NewPatient = Omit<Schemas["NewPatient"], "sex" | "identifiers" | "alerts"> & { sex: Sex; identifiers: PatientIdentifier[]; alerts?: PatientAlert[] };
export type SimilarPatient = Narrow<Schemas["SimilarPatient"], { patient: PatientSummary; reason: "identifier" | "name_birth" | "phone" }>;

export type ExamState =
  | "draft"
  | "ordered"
  | "returned"
  | "accepted"
  | "scheduled"
  | "arrived"
  | "prepared"
  | "in_progress"
  | "imaged"
  | "completed"
  | "redo"
  | "reported"
  | "audited"
  | "delivered"
  | "cancelled"
  | "discontinued";
export type Priority = "routine" | "urgent" | "emergency";
export type VisitClass = "outpatient" | "inpatient" | "emergency" | "checkup";
export type Side = "L" | "R" | "B";
export type SpecialCondition = "pregnant" | "mdro" | "infectious" | "implant" | "fasting" | "isolation" | "critical";
export type AppointmentState = "held" | "booked" | "checked_in" | "fulfilled" | "cancelled" | "no_show" | "moved";
export type QueueState = "waiting" | "called" | "in_room" | "done" | "passed" | "on_hold" | "left";

export type OrderItem = Narrow<Schemas["OrderItem"], { side: Side | null }>;
export type OrderAppointment = Narrow<Schemas["OrderAppointment"], { state: AppointmentState }>;
export type Order = Narrow<
  Schemas["Order"],
  {
    patient: PatientSummary;
    state: ExamState;
    priority: Priority;
    visit_class: VisitClass;
    items: OrderItem[];
    appointment: OrderAppointment | null;
    source: "desk" | "hl7";
  }
>;
export type NewOrderItem = { catalogue_id: Schemas["NewOrderItem"]["catalogue_id"]; side?: Side | null };
export type NewOrder = Omit<Schemas["NewOrder"], "items" | "priority" | "visit_class"> & { items: NewOrderItem[]; priority: Priority; visit_class: VisitClass };

export type Slot = Sent<Schemas["Slot"]>;
export type Appointment = Narrow<Schemas["Appointment"], { state: AppointmentState }>;
export type QueueEntry = Narrow<Schemas["QueueEntry"], { patient: PatientSummary; priority: Priority; state: QueueState; exam_state: ExamState }>;
export type Display = Schemas["Display"];
export type NewDisplay = Schemas["NewDisplay"];
export type DisplayRoom = Narrow<Schemas["DisplayRoom"], { calling: Schemas["DisplayCall"] | null }>;
export type DisplayView = Narrow<Schemas["DisplayView"], { rooms: DisplayRoom[] }>;

export type ReadingRow = Narrow<Schemas["ReadingRow"], { patient: PatientSummary; priority: Priority; state: ExamState }>;
export type UnmatchedStudy = Sent<Schemas["UnmatchedStudy"]>;
export type Series = Sent<Schemas["Series"]>;
export type DeletionReason = "quality" | "patient_safety" | "incorrect_worklist_entry" | "retention_expired" | "other";
export type Deletion = Narrow<Schemas["Deletion"], { reason: DeletionReason; state: "deleted" | "restored" | "purged" }>;
export type Damage = Sent<Schemas["Damage"]>;
export type Storage = Narrow<Schemas["Storage"], { room: DiskRoom; damages: Damage[]; check: Sent<Schemas["StorageCheck"]>; compaction: Sent<Schemas["Compaction"]> }>;
export type Study = Narrow<Schemas["Study"], { series: Series[] }>;
export type PriorStudy = Sent<Schemas["PriorStudy"]>;
export type ReportStage = "new" | "trainee" | "initial" | "rejected" | "final";
export type ReportVersion = Narrow<Schemas["ReportVersion"], { stage: ReportStage }>;
export type Report = Narrow<Schemas["Report"], { stage: ReportStage; versions: ReportVersion[] }>;
export type Reading = Narrow<Schemas["Reading"], { order: Order; patient: Patient; studies: Study[]; priors: PriorStudy[]; report: Report | null }>;
export type DiffPart = Narrow<Schemas["DiffPart"], { op: "equal" | "insert" | "delete" }>;
export type ReportDiff = Narrow<Schemas["ReportDiff"], { findings: DiffPart[]; impression: DiffPart[]; advice: DiffPart[] }>;
export type ReportTemplate = Schemas["ReportTemplate"];
export type TemplateVersion = Narrow<Schemas["TemplateVersion"], { state: "draft" | "approved" | "retired" }>;
export type TemplateDraft = Sent<Schemas["DraftTemplate"]>;
export type Phrase = Sent<Schemas["Phrase"]>;
export type PhraseContent = Required<Schemas["PhraseContent"]>;
export type ImportedPhrases = Schemas["ImportedPhrases"];
export type NewShare = Schemas["NewShare"];
export type Share = Narrow<Schemas["Share"], { state: "active" | "expired" | "revoked" }>;
export type PatientViewSeries = Schemas["PatientSeries"];
export type PatientView = Sent<Schemas["PatientView"]>;
export type TimelineEvent = Sent<Schemas["TimelineEvent"]>;

export type Message = Sent<Schemas["Message"]>;
export type MessageText = Sent<Schemas["MessageDetail"]>;
/** A system that gets results as ORU^R01. */
export type ResultReceiver = Schemas["ResultReceiver"];
export type DeadLetter = Schemas["DeadLetter"];
export type Echo = Sent<Schemas["Echo"]>;
export type Peer = Narrow<Schemas["Peer"], { last_echo: Echo | null }>;
export type CaseCount = Schemas["CaseCount"];
export type Quarantined = Schemas["Quarantined"];

/** Attributes that an image does not have are left out here. */
export type SentManifest = Schemas["Manifest"];
export type SentStudyManifest = Schemas["StudyManifest"];

/** One line of `GET /live`. */
export type LiveEvent = Sent<Schemas["Change"]>;

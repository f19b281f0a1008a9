/**
 * The names that the client uses for what travels over `/api/v1`.
 * They are the schema names of the OpenAPI document, so that this file is the only place where
 * hand-written shapes and generated ones can differ.
 */

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

export interface SessionUser {
  id: string;
  username: string;
  name: string;
  roles: Role[];
  org_id: string | null;
}

export interface Session {
  user: SessionUser;
  csrf: string;
  expires_at: string;
  actions: string[];
  demo: boolean;
  second_factor: boolean;
  /** Nothing else is allowed until a second factor has been set up. */
  must_enrol: boolean;
}

export interface SecondFactor {
  secret: string;
  uri: string;
  qr_svg: string;
}

export interface User {
  id: string;
  username: string;
  name: string;
  roles: Role[];
  active: boolean;
  second_factor: boolean;
  demo: boolean;
  created_at: string;
}

export interface AuditRow {
  id: string;
  at: string;
  actor_kind: string;
  actor_id: string | null;
  source: string | null;
  action: string;
  object_kind: string | null;
  object_id: string | null;
  outcome: string;
  detail: unknown;
  sealed: boolean;
}

export interface Status {
  version: string;
  database: string;
  audit: { rows: number; sealed: number; lag_seconds: number; intact: boolean };
  blob: { packs: number; bytes: number; free_bytes: number };
  deliveries: { pending: number; dead: number };
  uptime_seconds: number;
  demo: boolean;
}

export interface Organization {
  id: string;
  name: string;
  name_en: string;
}
export interface Campus {
  id: string;
  code: string;
  name: string;
  name_en: string;
}
export interface Department {
  id: string;
  code: string;
  name: string;
  name_en: string;
  kind: "imaging" | "clinical";
  campus_id: string;
}
export interface Room {
  id: string;
  code: string;
  name: string;
  name_en: string;
  department_id: string;
  campus_id: string;
}
export interface Device {
  id: string;
  ae_title: string;
  name: string;
  modality: string;
  room_id: string;
  active: boolean;
  /** Wheeled to the bedside. */
  mobile: boolean;
}
export interface CatalogueItem {
  id: string;
  code: string;
  name: string;
  name_en: string;
  modality: string;
  body_part: string;
  sided: boolean;
  contrast: boolean;
  duration_min: number;
  preparation: string;
  preparation_en: string;
  price_cents: number;
}
export interface Directory {
  org: Organization;
  campuses: Campus[];
  departments: Department[];
  rooms: Room[];
  devices: Device[];
  catalogue: CatalogueItem[];
  /** IANA name of the zone in which the facility keeps its wall time. */
  zone: string;
}

export type Sex = "M" | "F" | "O" | "U";
export interface PatientSummary {
  id: string;
  name: string;
  name_latin: string | null;
  sex: Sex;
  birth_date: string | null;
  mrn: string | null;
}
export type IdentifierKind =
  | "mrn"
  | "id_card"
  | "outpatient"
  | "inpatient"
  | "insurance"
  | "foreign"
  | "temporary";
export interface PatientIdentifier {
  issuer: string;
  kind: IdentifierKind;
  value: string;
}
export type AlertKind = "allergy" | "pregnancy" | "mdro" | "implant" | "egfr" | "other";
export interface PatientAlert {
  kind: AlertKind;
  text: string;
}
export interface Patient extends PatientSummary {
  phone: string | null;
  address: string | null;
  identifiers: PatientIdentifier[];
  alerts: PatientAlert[];
  temporary: boolean;
  version: number;
  created_at: string;
}
export interface NewPatient {
  name: string;
  name_latin?: string | null;
  sex: Sex;
  birth_date?: string | null;
  phone?: string | null;
  address?: string | null;
  identifiers: PatientIdentifier[];
  alerts?: PatientAlert[];
  unidentified?: boolean;
}
export interface SimilarPatient {
  patient: PatientSummary;
  reason: "identifier" | "name_birth" | "phone";
  blocking: boolean;
}

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
export type SpecialCondition =
  | "pregnant"
  | "mdro"
  | "infectious"
  | "implant"
  | "fasting"
  | "isolation"
  | "critical";

export interface OrderItem {
  id: string;
  catalogue_id: string;
  code: string;
  name: string;
  name_en: string;
  modality: string;
  body_part: string;
  side: Side | null;
}
export interface OrderAppointment {
  id: string;
  device_id: string;
  device_name: string;
  room_name: string;
  start: string;
  end: string;
  state: AppointmentState;
}
export interface Order {
  id: string;
  accession: string;
  placer_number: string | null;
  patient: PatientSummary;
  state: ExamState;
  priority: Priority;
  visit_class: VisitClass;
  department: string;
  physician: string;
  diagnosis: string;
  history: string;
  purpose: string;
  special: string[];
  /** What the automatic check found missing. */
  findings: string[];
  /** Why it was returned, cancelled, discontinued or is to be taken again. */
  reason: string;
  modality: string;
  items: OrderItem[];
  study_uid: string;
  /** Images received. */
  images: number;
  appointment: OrderAppointment | null;
  ticket: string | null;
  created_at: string;
  version: number;
  source: "desk" | "hl7";
}
export interface NewOrderItem {
  catalogue_id: string;
  side?: Side | null;
}
export interface NewOrder {
  patient_id: string;
  items: NewOrderItem[];
  priority: Priority;
  visit_class: VisitClass;
  department?: string;
  physician?: string;
  diagnosis?: string;
  history?: string;
  purpose?: string;
  special?: string[];
}

export interface Slot {
  device_id: string;
  device_name: string;
  room_name: string;
  start: string;
  end: string;
  free: boolean;
  reason: string | null;
}
export type AppointmentState =
  | "held"
  | "booked"
  | "checked_in"
  | "fulfilled"
  | "cancelled"
  | "no_show"
  | "moved";
export interface Appointment {
  id: string;
  order_id: string;
  accession: string;
  patient_name: string;
  item_name: string;
  item_name_en: string;
  device_id: string;
  device_name: string;
  room_name: string;
  start: string;
  end: string;
  state: AppointmentState;
  /** Set by another system over an occupied time. */
  overlaps: boolean;
}

export type QueueState = "waiting" | "called" | "in_room" | "done" | "passed" | "on_hold" | "left";
export interface QueueEntry {
  id: string;
  ticket: string;
  order_id: string;
  accession: string;
  patient: PatientSummary;
  masked_name: string;
  item_name: string;
  item_name_en: string;
  priority: Priority;
  class: string;
  state: QueueState;
  calls: number;
  room_id: string;
  room_name: string;
  device_id: string | null;
  device_name: string | null;
  arrived_at: string;
  called_at: string | null;
  special: string[];
  exam_state: ExamState;
  position: number;
}
export interface Display {
  id: string;
  name: string;
  room_ids: string[];
}
export interface NewDisplay {
  id: string;
  key: string;
}
export interface DisplayRoom {
  room_id: string;
  room_name: string;
  room_name_en: string;
  calling: { ticket: string; masked_name: string; called_at: string } | null;
  waiting: { ticket: string; masked_name: string }[];
  waiting_count: number;
}
export interface DisplayView {
  id: string;
  name: string;
  now: string;
  rooms: DisplayRoom[];
}

export interface ReadingRow {
  order_id: string;
  accession: string;
  patient: PatientSummary;
  age_text: string;
  item_name: string;
  item_name_en: string;
  modality: string;
  priority: Priority;
  state: ExamState;
  report_id: string | null;
  report_stage: string | null;
  study_uid: string;
  images: number;
  imaged_at: string | null;
  waiting_minutes: number;
  locked_by: string | null;
}
export interface UnmatchedStudy {
  study_uid: string;
  patient_name: string;
  patient_id: string;
  modality: string;
  accession: string;
  study_date: string | null;
  description: string;
  images: number;
  source_aet: string;
  received_at: string;
  reason: string;
}
export interface Series {
  series_uid: string;
  number: number | null;
  modality: string;
  description: string;
  body_part: string;
  images: number;
}
export interface Study {
  study_uid: string;
  description: string;
  date: string | null;
  modality: string;
  patient_name: string;
  patient_id: string;
  accession: string;
  series: Series[];
  images: number;
}
export interface PriorStudy {
  order_id: string;
  accession: string;
  item_name: string;
  item_name_en: string;
  study_uid: string;
  date: string;
  impression: string | null;
  report_id: string | null;
}
export interface Reading {
  order: Order;
  patient: Patient;
  studies: Study[];
  priors: PriorStudy[];
  report: Report | null;
}
export type ReportStage = "new" | "trainee" | "initial" | "rejected" | "final";
export interface ReportVersion {
  n: number;
  stage: ReportStage;
  author: string;
  at: string;
  findings: string;
  impression: string;
  advice: string;
  opinion: string | null;
  signed: boolean;
  hash: string;
}
export interface Report {
  id: string;
  order_id: string;
  stage: ReportStage;
  rev: number;
  findings: string;
  impression: string;
  advice: string;
  updated_at: string;
  updated_by: string;
  locked_by: string | null;
  opinion: string | null;
  versions: ReportVersion[];
  can: string[];
}
export interface DiffPart {
  op: "equal" | "insert" | "delete";
  text: string;
}
export interface ReportDiff {
  findings: DiffPart[];
  impression: DiffPart[];
  advice: DiffPart[];
}
export interface ReportTemplate {
  id: string;
  name: string;
  name_en: string;
  modality: string;
  body_part: string;
  findings: string;
  impression: string;
  advice?: string;
  shared: boolean;
}
export interface NewShare {
  id: string;
  url: string;
  qr_svg: string;
  expires_at: string;
}
export interface Share {
  id: string;
  created_at: string;
  created_by: string;
  expires_at: string;
  state: "active" | "expired" | "revoked";
  opens: number;
  last_opened_at: string | null;
  images: boolean;
}
export interface PatientViewSeries {
  series_uid: string;
  description: string;
  modality: string;
  images: number;
}
export interface PatientView {
  hospital: string;
  hospital_en: string;
  masked_name: string;
  item_name: string;
  item_name_en: string;
  exam_date: string;
  state: string;
  findings: string;
  impression: string;
  advice: string;
  signed_by: string | null;
  signed_at: string | null;
  expires_at: string;
  images: boolean;
  series: PatientViewSeries[];
}
export interface TimelineEvent {
  id: string;
  topic: string;
  occurred_at: string;
  recorded_at: string;
  actor_kind: string;
  actor_name: string | null;
  source: string | null;
  subject_kind: string;
  subject_id: string;
  payload: unknown;
}

export interface Message {
  id: string;
  direction: "in" | "out";
  peer: string;
  type: string;
  control_id: string;
  state: "error" | "done" | string;
  error_code: string | null;
  error_text: string | null;
  received_at: string;
  attempts: number;
  order_id: string | null;
}
export interface MessageText extends Message {
  text: string;
}
export interface DeadLetter {
  id: string;
  subscriber: string;
  event_id: string;
  topic: string;
  attempts: number;
  last_error: string;
  created_at: string;
}
export interface Peer {
  aet: string;
  host: string;
  port: number;
  kind: string;
  last_echo: { at: string; ok: boolean; ms: number; error: string | null } | null;
  received: number;
  last_seen: string | null;
}
export interface Quarantined {
  id: string;
  received_at: string;
  source: string;
  reason: string;
  size: number;
  sop_uid: string | null;
  study_uid: string | null;
}

export interface InstanceManifest {
  sop_uid: string;
  number: number | null;
  frames: number;
  rows: number;
  columns: number;
  bits_allocated: number;
  bits_stored: number;
  high_bit: number;
  signed: boolean;
  samples: number;
  photometric: string;
  slope: number | null;
  intercept: number | null;
  window_center: number[];
  window_width: number[];
  pixel_spacing: [number, number] | null;
  position: [number, number, number] | null;
  orientation: number[] | null;
  frame_time: number | null;
  thickness: number | null;
  planar: number | null;
}
export interface SeriesManifest {
  transfer_syntax: string;
  instances: InstanceManifest[];
}

/** One line of `GET /live`. */
export interface LiveEvent {
  topic: string;
  subject_kind: string;
  subject_id: string;
  case_id: string | null;
}

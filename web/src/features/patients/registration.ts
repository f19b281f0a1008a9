import type { AlertKind, IdentifierKind, NewPatient, Patient, PatientIdentifier, Sex } from "@/api/types";
import { normalizeIdCard, readIdCard } from "@/lib/idcard";
import { isDay, today } from "@/lib/time";

/** WS/T 500: issuer of the resident identity number. */
export const ID_CARD_ISSUER = "2.16.156.10011.1.3";
/** Numbers of the house; the health record's OIDs for outpatient and inpatient numbers. */
const ISSUERS: Record<Exclude<IdentifierKind, "temporary">, string> = {
  id_card: ID_CARD_ISSUER,
  mrn: "MRN",
  outpatient: "2.16.156.10011.1.11",
  inpatient: "2.16.156.10011.1.12",
  insurance: "2.16.156.10011.1.27",
  foreign: "PASSPORT",
};

export interface Draft {
  id_card: string;
  name: string;
  sex: Sex;
  birth_date: string;
  phone: string;
  address: string;
  other_kind: "outpatient" | "inpatient" | "mrn" | "insurance" | "foreign";
  other_value: string;
  alerts: { kind: AlertKind; text: string }[];
  unidentified: boolean;
}

export const emptyDraft: Draft = {
  id_card: "",
  name: "",
  sex: "U",
  birth_date: "",
  phone: "",
  address: "",
  other_kind: "outpatient",
  other_value: "",
  alerts: [],
  unidentified: false,
};

export type Fault = "id_card.length" | "id_card.characters" | "id_card.birth_date" | "id_card.checksum" | "name.required" | "birth_date.invalid" | "phone.invalid";
export type Faults = Partial<Record<"id_card" | "name" | "birth_date" | "phone", Fault>>;

/** A complete card fills what it knows; typing stays in charge of the rest. */
export function withIdCard(draft: Draft, text: string): Draft {
  const next = { ...draft, id_card: normalizeIdCard(text) };
  const card = readIdCard(next.id_card);
  return card.ok ? { ...next, birth_date: card.birth_date, sex: card.sex } : next;
}

/** `19790412`, `1979.4.12`, `1979/04/12` and `1979年4月12日` all mean the same day. */
export function readDate(text: string): string {
  const compact = /^(\d{4})(\d{2})(\d{2})$/.exec(text.trim());
  const parts = compact ?? /^(\d{4})\D+(\d{1,2})\D+(\d{1,2})\D*$/.exec(text.trim());
  if (!parts) return text.trim();
  return `${parts[1] ?? ""}-${(parts[2] ?? "").padStart(2, "0")}-${(parts[3] ?? "").padStart(2, "0")}`;
}

export function faultsOf(draft: Draft, on: string = today()): Faults {
  const faults: Faults = {};
  if (draft.id_card !== "") {
    const card = readIdCard(draft.id_card, on);
    if (!card.ok) faults.id_card = `id_card.${card.fault}`;
  }
  if (draft.name.trim() === "" && !draft.unidentified) faults.name = "name.required";
  const birth = readDate(draft.birth_date);
  if (birth !== "" && (!isDay(birth) || birth > on || birth < "1870-01-01")) faults.birth_date = "birth_date.invalid";
  if (draft.phone !== "" && !/^[+\d][\d\s-]{5,30}$/.test(draft.phone)) faults.phone = "phone.invalid";
  return faults;
}

export function newPatientOf(draft: Draft): NewPatient {
  const identifiers: PatientIdentifier[] = [];
  if (draft.id_card !== "") identifiers.push({ issuer: ID_CARD_ISSUER, kind: "id_card", value: normalizeIdCard(draft.id_card) });
  const other = draft.other_value.trim();
  if (other !== "") identifiers.push({ issuer: ISSUERS[draft.other_kind], kind: draft.other_kind, value: other });
  return {
    name: draft.name.trim(),
    sex: draft.sex,
    birth_date: readDate(draft.birth_date) || null,
    phone: draft.phone.trim() || null,
    address: draft.address.trim() || null,
    identifiers,
    alerts: draft.alerts.filter(({ kind, text }) => kind !== "other" || text.trim() !== ""),
    unidentified: draft.unidentified,
  };
}

const OTHER_KINDS = ["outpatient", "inpatient", "mrn", "insurance", "foreign"] as const;

/** The form's view of a registered patient. Identifiers that the form does not show are kept by `changedPatient`. */
export function draftOf(patient: Patient): Draft {
  const card = patient.identifiers.find(({ kind }) => kind === "id_card");
  const other = patient.identifiers.find(({ kind }) => OTHER_KINDS.some((known) => known === kind));
  return {
    id_card: card?.value ?? "",
    name: patient.name,
    sex: patient.sex,
    birth_date: patient.birth_date ?? "",
    phone: patient.phone ?? "",
    address: patient.address ?? "",
    other_kind: OTHER_KINDS.find((kind) => kind === other?.kind) ?? "outpatient",
    other_value: other?.value ?? "",
    alerts: patient.alerts.map((alert) => ({ ...alert })),
    unidentified: false,
  };
}

export function changedPatient(patient: Patient, draft: Draft): NewPatient & { version: number } {
  const shown = draftOf(patient);
  const next = newPatientOf(draft);
  const isShown = ({ kind, value }: PatientIdentifier) =>
    (kind === "id_card" && value === shown.id_card) || (kind === shown.other_kind && value === shown.other_value);
  // An unchanged number keeps its issuer, which may be another house's.
  const issuerOf = (identifier: PatientIdentifier) =>
    patient.identifiers.find(({ kind, value }) => kind === identifier.kind && value === identifier.value)?.issuer ?? identifier.issuer;
  const identifiers = [
    ...patient.identifiers.filter((identifier) => !isShown(identifier)),
    ...next.identifiers.map((identifier) => ({ ...identifier, issuer: issuerOf(identifier) })),
  ];
  const { unidentified: _, ...rest } = next;
  return { ...rest, name_latin: patient.name === next.name ? patient.name_latin : null, identifiers, version: patient.version };
}

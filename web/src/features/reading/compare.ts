import type { Order, UnmatchedStudy } from "@/api/types";

export interface Fact {
  readonly key: "name" | "patient_id" | "modality" | "accession" | "date";
  readonly study: string;
  readonly order: string;
  readonly differs: boolean;
}

/** DICOM person names come as `ZHANG^SAN=张^三`; compare every spelling without its marks. */
export function nameSpellings(name: string): string[] {
  return name
    .split(/[=()（）]/)
    .map((part) => part.replace(/[\^\s·]/g, "").toLowerCase())
    .filter((part) => part !== "");
}

function sameName(study: string, patient: Order["patient"]): boolean {
  const wanted = [...nameSpellings(patient.name), ...nameSpellings(patient.name_latin ?? "")];
  return nameSpellings(study).some((spelling) => wanted.includes(spelling));
}

/** What the images say beside what the order says, with the differences marked. */
export function compareStudy(study: UnmatchedStudy, order: Order): Fact[] {
  const fact = (key: Fact["key"], left: string, right: string, same: boolean): Fact => ({
    key,
    study: left,
    order: right,
    differs: !same,
  });
  return [
    fact("name", study.patient_name, order.patient.name, sameName(study.patient_name, order.patient)),
    fact("patient_id", study.patient_id, order.patient.mrn ?? "", study.patient_id === order.patient.mrn),
    fact("modality", study.modality, order.modality, study.modality === order.modality),
    fact("accession", study.accession, order.accession, study.accession === order.accession),
  ];
}

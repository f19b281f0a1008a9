import type { CatalogueItem, NewOrder, Priority, Side, VisitClass } from "@/api/types";

export interface Chosen {
  key: string;
  item: CatalogueItem;
  side: Side | null;
}

export interface Request {
  chosen: readonly Chosen[];
  priority: Priority;
  visit_class: VisitClass;
  department: string;
  physician: string;
  diagnosis: string;
  history: string;
  purpose: string;
  special: readonly string[];
}

export const emptyRequest: Request = {
  chosen: [],
  priority: "routine",
  visit_class: "outpatient",
  department: "",
  physician: "",
  diagnosis: "",
  history: "",
  purpose: "",
  special: [],
};

export type Missing = "items" | "side" | "department" | "physician" | "diagnosis";

/**
 * What the server's automatic check would ask for. Emergencies are accepted with what is known, and a
 * check-up has no referring department.
 */
export function missingIn(request: Request): Missing[] {
  const missing: Missing[] = [];
  if (request.chosen.length === 0) missing.push("items");
  if (request.chosen.some(({ item, side }) => item.sided && side === null)) missing.push("side");
  if (request.priority !== "emergency" && request.visit_class !== "checkup") {
    if (request.department.trim() === "") missing.push("department");
    if (request.physician.trim() === "") missing.push("physician");
    if (request.diagnosis.trim() === "") missing.push("diagnosis");
  }
  return missing;
}

export function newOrdersOf(patient_id: string, request: Request): NewOrder[] {
  return request.chosen.map(({ item, side }) => ({
    patient_id,
    items: [{ catalogue_id: item.id, side }],
    priority: request.priority,
    visit_class: request.visit_class,
    department: request.department.trim(),
    physician: request.physician.trim(),
    diagnosis: request.diagnosis.trim(),
    history: request.history.trim(),
    purpose: request.purpose.trim(),
    special: [...request.special],
  }));
}

import { queryOptions } from "@tanstack/react-query";
import { api, path } from "@/api/client";
import type { Page, Patient, PatientSummary, SimilarPatient } from "@/api/types";

export const patientQuery = (id: string) =>
  queryOptions({
    queryKey: ["patients", id],
    queryFn: ({ signal }) => api.get<Patient>(path`/patients/${id}`, { signal }),
  });

export const patientSearchQuery = (q: string) =>
  queryOptions({
    queryKey: ["patients", "search", q, 12],
    queryFn: ({ signal }) => api.get<Page<PatientSummary>>("/patients", { query: { q, limit: 12 }, signal }),
    enabled: q !== "",
    placeholderData: (previous) => previous,
  });

export interface SimilarTo {
  name: string;
  birth_date: string;
  sex: string;
  id_card: string;
  phone: string;
}

export const similarQuery = (given: SimilarTo, enabled: boolean) =>
  queryOptions({
    queryKey: ["patients", "similar", given],
    queryFn: ({ signal }) => api.list<SimilarPatient>("/patients/similar", { query: { ...given }, signal }),
    enabled,
    staleTime: 0,
  });

import { DeleteOutlined, PlusOutlined } from "@ant-design/icons";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { App, Button, Checkbox, Input, Segmented, Select } from "antd";
import { useMemo, useRef, useState, type KeyboardEvent, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { api, path } from "@/api/client";
import { asProblem, problemText } from "@/api/problem";
import type { AlertKind, Patient, PatientSummary, Sex } from "@/api/types";
import { readIdCard } from "@/lib/idcard";
import { useDebounced } from "@/lib/useDebounced";
import { PersonLine } from "@/ui/PersonLine";
import { similarQuery, type SimilarTo } from "./queries";
import { changedPatient, draftOf, emptyDraft, faultsOf, newPatientOf, readDate, withIdCard, type Draft, type Faults } from "./registration";
import css from "./Patients.module.css";

interface PatientFormProps {
  /** What the search held: a card number or a name. */
  typed?: string | undefined;
  /** Present when a registered patient is changed. */
  patient?: Patient | undefined;
  onDone: (patient: Patient) => void;
  onUse?: ((patient: PatientSummary) => void) | undefined;
  onCancel: () => void;
}

const sexes: readonly Sex[] = ["M", "F", "O", "U"];
const alertKinds: readonly AlertKind[] = ["allergy", "pregnancy", "mdro", "implant", "egfr", "other"];
const otherKinds = ["outpatient", "inpatient", "mrn", "insurance", "foreign"] as const;

function start(typed: string | undefined, patient: Patient | undefined): Draft {
  if (patient) return draftOf(patient);
  const text = typed?.trim() ?? "";
  if (/^\d{15,17}[\dXx]$/.test(text)) return withIdCard(emptyDraft, text);
  if (/^[+\d][\d\s-]{6,}$/.test(text)) return { ...emptyDraft, phone: text };
  return { ...emptyDraft, name: text };
}

/** Registration on one screen, in the order in which a clerk asks. Enter moves on; Ctrl+Enter saves from anywhere. */
export function PatientForm({ typed, patient, onDone, onUse, onCancel }: PatientFormProps) {
  const { t } = useTranslation("patients");
  const { message } = App.useApp();
  const queries = useQueryClient();
  const form = useRef<HTMLFormElement>(null);
  const [draft, setDraft] = useState(() => start(typed, patient));
  const [shown, setShown] = useState<Faults>({});
  const faults = faultsOf(draft);
  const set = (change: Partial<Draft>) => setDraft((before) => ({ ...before, ...change }));

  const save = useMutation({
    mutationFn: () =>
      patient
        ? api.put<Patient>(path`/patients/${patient.id}`, changedPatient(patient, draft))
        : api.post<Patient>("/patients", newPatientOf(draft)),
    onSuccess: (saved) => {
      queries.setQueryData(["patients", saved.id], saved);
      void queries.invalidateQueries({ queryKey: ["patients", "search"] });
      onDone(saved);
    },
    onError: (error) => {
      const { field } = asProblem(error);
      void message.error(problemText(t, error));
      if (field !== null) form.current?.querySelector<HTMLElement>(`[name="${field}"]`)?.focus();
    },
  });

  const settledDraft = useDebounced(draft, 250);
  const similarTo = useMemo<SimilarTo>(
    () => ({
      name: settledDraft.name.trim(),
      birth_date: faultsOf(settledDraft).birth_date ? "" : readDate(settledDraft.birth_date),
      sex: settledDraft.sex === "U" ? "" : settledDraft.sex,
      id_card: readIdCard(settledDraft.id_card).ok ? settledDraft.id_card : "",
      phone: faultsOf(settledDraft).phone ? "" : settledDraft.phone.trim(),
    }),
    [settledDraft],
  );
  const enough = similarTo.id_card !== "" || similarTo.phone !== "" || (similarTo.name !== "" && similarTo.birth_date !== "");
  const similar = useQuery(similarQuery(similarTo, enough && patient === undefined));
  const found = enough && patient === undefined ? (similar.data ?? []) : [];
  const blocked = found.some(({ blocking }) => blocking);

  const submit = () => {
    setShown(faults);
    const first = Object.keys(faults)[0];
    if (first !== undefined) {
      form.current?.querySelector<HTMLElement>(`[name="${first}"]`)?.focus();
      return;
    }
    if (!blocked && !save.isPending) save.mutate();
  };

  const onKeyDown = (event: KeyboardEvent<HTMLFormElement>) => {
    if (event.key !== "Enter" || event.nativeEvent.isComposing) return;
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      submit();
      return;
    }
    const target = event.target as HTMLElement;
    if (!(target instanceof HTMLInputElement) || target.getAttribute("role") === "combobox") return;
    event.preventDefault();
    const fields = [...event.currentTarget.querySelectorAll<HTMLElement>("[data-step]")];
    const at = fields.findIndex((field) => field === target || field.contains(target));
    const next = fields[at + 1];
    if (next === undefined) submit();
    else (next instanceof HTMLInputElement || next instanceof HTMLButtonElement ? next : (next.querySelector<HTMLElement>('input[type="radio"]:checked, input, button') ?? next)).focus();
  };

  const check = (field: keyof Faults) => setShown((before) => ({ ...before, [field]: faults[field] }));
  const fault = (field: keyof Faults) => (shown[field] && faults[field] ? t(`fault.${faults[field]}`) : undefined);

  return (
    <div className={css.registration}>
      <form
        ref={form}
        className={css.form}
        autoComplete="off"
        noValidate
        onKeyDown={onKeyDown}
        onSubmit={(event) => {
          event.preventDefault();
          submit();
        }}
      >
        <Field label={t("field.id_card")} fault={fault("id_card")} wide>
          {(id) => (
            <Input
              id={id}
              name="id_card"
              data-step
              autoFocus={!patient && draft.id_card === ""}
              className="num"
              value={draft.id_card}
              maxLength={22}
              status={fault("id_card") ? "error" : ""}
              disabled={draft.unidentified}
              onChange={(event) => setDraft((before) => withIdCard(before, event.target.value))}
              onBlur={() => check("id_card")}
            />
          )}
        </Field>
        <Field label={t("field.name")} fault={fault("name")} required={!draft.unidentified}>
          {(id) => (
            <Input
              id={id}
              name="name"
              data-step
              value={draft.name}
              maxLength={64}
              status={fault("name") ? "error" : ""}
              autoFocus={!patient && draft.id_card !== ""}
              onChange={(event) => set({ name: event.target.value })}
              onBlur={() => check("name")}
            />
          )}
        </Field>
        <Field label={t("field.sex")} group>
          {(id) => (
            <div data-step className={css.sexes}>
              <Segmented<Sex> id={id} block value={draft.sex} onChange={(sex) => set({ sex })} options={sexes.map((value) => ({ value, label: t(`common:sex.${value}`) }))} />
            </div>
          )}
        </Field>
        <Field label={t("field.birth_date")} fault={fault("birth_date")}>
          {(id) => (
            <Input
              id={id}
              name="birth_date"
              data-step
              className="num"
              inputMode="numeric"
              placeholder={t("field.birth_date_hint")}
              value={draft.birth_date}
              status={fault("birth_date") ? "error" : ""}
              onChange={(event) => set({ birth_date: event.target.value })}
              onBlur={() => {
                set({ birth_date: readDate(draft.birth_date) });
                check("birth_date");
              }}
            />
          )}
        </Field>
        <Field label={t("field.phone")} fault={fault("phone")}>
          {(id) => (
            <Input
              id={id}
              name="phone"
              data-step
              className="num"
              inputMode="tel"
              value={draft.phone}
              maxLength={32}
              status={fault("phone") ? "error" : ""}
              onChange={(event) => set({ phone: event.target.value })}
              onBlur={() => check("phone")}
            />
          )}
        </Field>
        <Field label={t("field.other_identifier")} wide group>
          {(id) => (
            <div className={css.pairField}>
              <Select
                value={draft.other_kind}
                onChange={(other_kind) => set({ other_kind })}
                aria-label={t("field.other_kind")}
                options={otherKinds.map((value) => ({ value, label: t(`common:identifier.${value}`) }))}
                style={{ width: 140 }}
              />
              <Input id={id} name="identifiers" data-step className="mono" value={draft.other_value} maxLength={64} onChange={(event) => set({ other_value: event.target.value })} aria-label={t("field.other_value")} />
            </div>
          )}
        </Field>
        <Field label={t("field.address")} wide>
          {(id) => <Input id={id} name="address" data-step value={draft.address} maxLength={200} onChange={(event) => set({ address: event.target.value })} />}
        </Field>
        <Field label={t("field.alerts")} wide group>
          {() => (
            <div className={css.alerts}>
              {draft.alerts.map((alert, index) => (
                <div key={index} className={css.pairField}>
                  <Select
                    value={alert.kind}
                    style={{ width: 140 }}
                    aria-label={t("field.alert_kind")}
                    onChange={(kind) => set({ alerts: draft.alerts.map((other, at) => (at === index ? { ...other, kind } : other)) })}
                    options={alertKinds.map((value) => ({ value, label: t(`common:alert.${value}`) }))}
                  />
                  <Input
                    autoFocus
                    value={alert.text}
                    maxLength={200}
                    placeholder={t("field.alert_text")}
                    aria-label={t("field.alert_text")}
                    onChange={(event) => set({ alerts: draft.alerts.map((other, at) => (at === index ? { ...other, text: event.target.value } : other)) })}
                  />
                  <Button
                    type="text"
                    icon={<DeleteOutlined />}
                    aria-label={t("field.alert_remove")}
                    onClick={() => set({ alerts: draft.alerts.filter((_, at) => at !== index) })}
                  />
                </div>
              ))}
              <Button size="small" type="dashed" icon={<PlusOutlined />} onClick={() => set({ alerts: [...draft.alerts, { kind: "allergy", text: "" }] })}>
                {t("field.alert_add")}
              </Button>
            </div>
          )}
        </Field>
        {!patient && (
          <div className={css.wide}>
            <Checkbox
              checked={draft.unidentified}
              onChange={(event) => set(event.target.checked ? { unidentified: true, id_card: "" } : { unidentified: false })}
            >
              {t("field.unidentified")}
            </Checkbox>
          </div>
        )}
        <div className={`${css.wide} ${css.buttons}`}>
          <Button type="primary" htmlType="submit" loading={save.isPending} disabled={blocked}>
            {patient ? t("common:save") : t("form.register")} <kbd>{t("form.save_key")}</kbd>
          </Button>
          <Button onClick={onCancel}>{t("common:cancel")}</Button>
        </div>
      </form>
      {patient === undefined && (
        <aside className={css.similar} aria-live="polite" aria-label={t("similar.title")}>
          <h3>{t("similar.title")}</h3>
          {found.length === 0 && <p className={css.dim}>{enough ? t("similar.none") : t("similar.wait")}</p>}
          {found.map(({ patient: other, reason, blocking }) => (
            <div key={other.id} className={blocking ? `${css.twin} ${css.blocking}` : css.twin}>
              <PersonLine patient={other} />
              <p className={css.dim}>{t(`similar.reason.${reason}`)}</p>
              {onUse && (
                <Button size="small" type={blocking ? "primary" : "default"} onClick={() => onUse(other)}>
                  {t("similar.use")}
                </Button>
              )}
            </div>
          ))}
          {blocked && <p className={css.warn}>{t("similar.blocking")}</p>}
        </aside>
      )}
    </div>
  );
}

let fieldNumber = 0;

function Field({
  label,
  fault,
  wide = false,
  required = false,
  group = false,
  children,
}: {
  label: string;
  fault?: string | undefined;
  wide?: boolean;
  required?: boolean;
  /** Several controls under one name. */
  group?: boolean;
  children: (id: string) => ReactNode;
}) {
  const [id] = useState(() => `patient-field-${(fieldNumber += 1)}`);
  return (
    <div className={wide ? `${css.field} ${css.wide}` : css.field} role={group ? "group" : undefined} aria-label={group ? label : undefined}>
      {group ? (
        <span className={css.label}>{label}</span>
      ) : (
        <label className={css.label} htmlFor={id}>
          {label}
          {required && <span className={css.star} aria-hidden />}
        </label>
      )}
      {children(id)}
      {fault !== undefined && (
        <p className={css.fault} role="alert">
          {fault}
        </p>
      )}
    </div>
  );
}

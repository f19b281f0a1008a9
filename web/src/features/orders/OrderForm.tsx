import { CloseOutlined, SearchOutlined } from "@ant-design/icons";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { App, AutoComplete, Button, Input, Segmented, type InputRef } from "antd";
import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";
import { api } from "@/api/client";
import { problemText } from "@/api/problem";
import { useDirectory } from "@/api/session";
import type { CatalogueItem, Order, Priority, Side, VisitClass } from "@/api/types";
import { named } from "@/lib/i18n";
import { Chips } from "@/ui/Chips";
import { Tag } from "@/ui/Tags";
import { indexCatalogue, searchCatalogue } from "./catalogue";
import { emptyRequest, missingIn, newOrdersOf, type Chosen, type Missing, type Request } from "./request";
import css from "./Orders.module.css";

const priorities: readonly Priority[] = ["routine", "urgent", "emergency"];
const visits: readonly VisitClass[] = ["outpatient", "inpatient", "emergency", "checkup"];
const sides: readonly Side[] = ["L", "R", "B"];
const specials = ["pregnant", "mdro", "infectious", "implant", "isolation", "critical"] as const;

/**
 * Several exams may be chosen at once; each becomes an order of its own, because each has its own
 * device, time and report. Orders that were made stay made when a later one fails.
 */
export function OrderForm({ patientId, onDone }: { patientId: string; onDone: (orders: Order[]) => void }) {
  const { t, i18n } = useTranslation("orders");
  const { message } = App.useApp();
  const queries = useQueryClient();
  const directory = useDirectory();
  const list = useId();
  const search = useRef<InputRef>(null);
  const [request, setRequest] = useState<Request>(emptyRequest);
  const [text, setText] = useState("");
  const [index, setIndex] = useState(0);
  const [modality, setModality] = useState("");
  const [shown, setShown] = useState<readonly Missing[]>([]);
  const set = (change: Partial<Request>) => setRequest((before) => ({ ...before, ...change }));

  const catalogue = useMemo(() => indexCatalogue(directory?.catalogue ?? []), [directory]);
  const modalities = useMemo(() => [...new Set((directory?.catalogue ?? []).map((item) => item.modality))], [directory]);
  const found = useMemo(
    () => searchCatalogue(modality === "" ? catalogue : catalogue.filter(({ item }) => item.modality === modality), text),
    [catalogue, modality, text],
  );
  const at = Math.min(index, Math.max(0, found.length - 1));
  const clinical = (directory?.departments ?? []).filter(({ kind }) => kind === "clinical");

  useEffect(() => {
    search.current?.focus();
  }, [patientId]);
  useEffect(() => {
    document.getElementById(`${list}-${at}`)?.scrollIntoView({ block: "nearest" });
  }, [at, list]);

  const add = (item: CatalogueItem | undefined) => {
    if (!item) return;
    setRequest((before) =>
      before.chosen.some(({ item: other }) => other.id === item.id) && !item.sided
        ? before
        : { ...before, chosen: [...before.chosen, { key: `${item.id}-${before.chosen.length}-${Date.now()}`, item, side: null }] },
    );
    setText("");
    setIndex(0);
    search.current?.focus();
  };
  const change = (key: string, side: Side) => set({ chosen: request.chosen.map((one) => (one.key === key ? { ...one, side } : one)) });
  const drop = (key: string) => set({ chosen: request.chosen.filter((one) => one.key !== key) });

  const save = useMutation({
    mutationFn: async () => {
      const made: Order[] = [];
      const left = [...request.chosen];
      try {
        for (const order of newOrdersOf(patientId, request)) {
          made.push(await api.post<Order>("/orders", order));
          left.shift();
        }
      } catch (error) {
        set({ chosen: left });
        if (made.length > 0) onDone(made);
        throw error;
      }
      return made;
    },
    onSuccess: (orders) => {
      setRequest((before) => ({ ...emptyRequest, visit_class: before.visit_class }));
      setShown([]);
      onDone(orders);
    },
    onError: (error) => void message.error(problemText(t, error)),
    onSettled: () => queries.invalidateQueries({ queryKey: ["orders"] }),
  });

  const submit = () => {
    const missing = missingIn(request);
    setShown(missing);
    if (missing.length === 0 && !save.isPending) save.mutate();
    else if (missing.includes("items")) search.current?.focus();
  };

  const onSearchKey = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "ArrowDown") setIndex(Math.min(at + 1, found.length - 1));
    else if (event.key === "ArrowUp") setIndex(Math.max(at - 1, 0));
    else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) add(found[at]);
    else if (event.key === "Backspace" && text === "" && request.chosen.length > 0) drop(request.chosen[request.chosen.length - 1]?.key ?? "");
    else return;
    event.preventDefault();
  };

  return (
    <form
      className={css.form}
      autoComplete="off"
      onKeyDown={(event) => {
        if (event.key !== "Enter" || event.nativeEvent.isComposing) return;
        if (event.ctrlKey || event.metaKey) {
          event.preventDefault();
          submit();
        } else if (event.target instanceof HTMLInputElement) event.preventDefault();
      }}
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <div className={css.picker}>
        <Input
          ref={search}
          size="large"
          prefix={<SearchOutlined aria-hidden />}
          value={text}
          onChange={(event) => {
            setText(event.target.value);
            setIndex(0);
          }}
          onKeyDown={onSearchKey}
          placeholder={t("pick.invite")}
          aria-label={t("pick.label")}
          role="combobox"
          aria-expanded
          aria-controls={list}
          aria-activedescendant={found.length > 0 ? `${list}-${at}` : undefined}
          spellCheck={false}
        />
        <Chips label={t("pick.modality")} value={modality} onChange={setModality} chips={[{ value: "", label: t("common:all") }, ...modalities.map((value) => ({ value, label: value }))]} />
        <div id={list} role="listbox" aria-label={t("pick.label")} className={css.catalogue} aria-busy={directory === undefined}>
          {found.map((item, position) => (
            <div
              key={item.id}
              id={`${list}-${position}`}
              role="option"
              aria-selected={position === at}
              className={position === at ? `${css.entry} ${css.on}` : css.entry}
              onMouseMove={() => setIndex(position)}
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => add(item)}
            >
              <span className={css.modality}>{item.modality}</span>
              <span className={css.entryName}>{named(item, i18n.language)}</span>
              {item.contrast && <Tag tone="info">{t("pick.contrast")}</Tag>}
              <span className={`${css.dim} num`}>{t("pick.minutes", { count: item.duration_min })}</span>
              <span className={`${css.dim} mono`}>{item.code}</span>
            </div>
          ))}
          {directory !== undefined && found.length === 0 && <p className={css.none}>{t("pick.none")}</p>}
        </div>
      </div>

      <div className={css.details}>
        <div className={css.chosen} aria-live="polite">
          {request.chosen.length === 0 && <p className={shown.includes("items") ? css.fault : css.dim}>{t("chosen.none")}</p>}
          {request.chosen.map((one: Chosen) => (
            <div key={one.key} className={css.chosenRow}>
              <span className={css.modality}>{one.item.modality}</span>
              <span className={css.chosenName}>
                {named(one.item, i18n.language)}
                {one.item.preparation !== "" && (
                  <span className={css.preparation}>{i18n.language === "en-US" && one.item.preparation_en ? one.item.preparation_en : one.item.preparation}</span>
                )}
              </span>
              {one.item.sided && (
                <Segmented<Side | "">
                  size="small"
                  aria-label={t("chosen.side")}
                  value={one.side ?? ""}
                  onChange={(side) => side !== "" && change(one.key, side)}
                  options={sides.map((value) => ({ value, label: t(`common:side.${value}`) }))}
                />
              )}
              <Button type="text" size="small" icon={<CloseOutlined />} aria-label={t("chosen.remove", { name: named(one.item, i18n.language) })} onClick={() => drop(one.key)} />
              {one.item.sided && one.side === null && shown.includes("side") && <span className={css.fault}>{t("missing.side")}</span>}
            </div>
          ))}
        </div>

        <div className={`${css.pair} ${css.choices}`}>
          <Labelled label={t("field.priority")}>
            <Segmented<Priority> block value={request.priority} onChange={(priority) => set({ priority })} options={priorities.map((value) => ({ value, label: t(`common:priority.${value}`) }))} />
          </Labelled>
          <Labelled label={t("column.visit")}>
            <Segmented<VisitClass> block value={request.visit_class} onChange={(visit_class) => set({ visit_class })} options={visits.map((value) => ({ value, label: t(`common:visit.${value}`) }))} />
          </Labelled>
        </div>
        <div className={css.pair}>
          <Labelled label={t("field.department")} fault={shown.includes("department") ? t("missing.department") : undefined}>
            <AutoComplete
              value={request.department}
              onChange={(department: string) => set({ department })}
              options={clinical.map((department) => ({ value: named(department, i18n.language) }))}
              showSearch={{ filterOption: (typed, option) => String(option?.value ?? "").toLowerCase().includes(typed.toLowerCase()) }}
              aria-label={t("field.department")}
              style={{ width: "100%" }}
            />
          </Labelled>
          <Labelled label={t("field.physician")} fault={shown.includes("physician") ? t("missing.physician") : undefined}>
            <Input value={request.physician} maxLength={64} aria-label={t("field.physician")} onChange={(event) => set({ physician: event.target.value })} />
          </Labelled>
        </div>
        <Labelled label={t("field.diagnosis")} fault={shown.includes("diagnosis") ? t("missing.diagnosis") : undefined}>
          <Input value={request.diagnosis} maxLength={500} aria-label={t("field.diagnosis")} onChange={(event) => set({ diagnosis: event.target.value })} />
        </Labelled>
        <div className={css.pair}>
          <Labelled label={t("field.history")}>
            <Input.TextArea autoSize={{ minRows: 1, maxRows: 4 }} value={request.history} maxLength={4000} aria-label={t("field.history")} onChange={(event) => set({ history: event.target.value })} />
          </Labelled>
          <Labelled label={t("field.purpose")}>
            <Input.TextArea autoSize={{ minRows: 1, maxRows: 4 }} value={request.purpose} maxLength={2000} aria-label={t("field.purpose")} onChange={(event) => set({ purpose: event.target.value })} />
          </Labelled>
        </div>
        <Labelled label={t("field.special")}>
          <div className={css.specials}>
            {specials.map((special) => {
              const on = request.special.includes(special);
              return (
                <Button
                  key={special}
                  size="small"
                  type={on ? "primary" : "default"}
                  aria-pressed={on}
                  onClick={() => set({ special: on ? request.special.filter((other) => other !== special) : [...request.special, special] })}
                >
                  {t(`common:special.${special}`)}
                </Button>
              );
            })}
          </div>
        </Labelled>
        <div className={css.submit}>
          <Button type="primary" htmlType="submit" loading={save.isPending}>
            {request.chosen.length > 1 ? t("form.submit_many", { count: request.chosen.length }) : t("form.submit")} <kbd>{t("form.key")}</kbd>
          </Button>
          {request.chosen.length > 1 && <span className={css.dim}>{t("form.several")}</span>}
        </div>
      </div>
    </form>
  );
}

function Labelled({ label, fault, children }: { label: string; fault?: string | undefined; children: React.ReactNode }) {
  return (
    <div className={css.labelled} role="group" aria-label={label}>
      <span className={css.label}>{label}</span>
      {children}
      {fault !== undefined && (
        <span className={css.fault} role="alert">
          {fault}
        </span>
      )}
    </div>
  );
}

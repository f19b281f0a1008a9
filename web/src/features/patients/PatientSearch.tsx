import { IdcardOutlined, UserAddOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import { Button, Input, type InputRef } from "antd";
import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";
import type { PatientSummary } from "@/api/types";
import { normalizeIdCard, readIdCard } from "@/lib/idcard";
import { useDebounced } from "@/lib/useDebounced";
import { Empty } from "@/ui/Empty";
import { Failure } from "@/ui/Failure";
import { PersonLine } from "@/ui/PersonLine";
import { patientSearchQuery } from "./queries";
import css from "./Patients.module.css";

interface PatientSearchProps {
  onChoose: (patient: PatientSummary) => void;
  /** With what was typed: an identity number or a name starts the registration. */
  onRegister?: ((typed: string) => void) | undefined;
  initial?: string | undefined;
}

/**
 * One field for card readers, scanners and typing. A card number that finds exactly one person chooses
 * that person when Enter (which readers send) is pressed.
 */
export function PatientSearch({ onChoose, onRegister, initial = "" }: PatientSearchProps) {
  const { t } = useTranslation("patients");
  const list = useId();
  const input = useRef<InputRef>(null);
  const [text, setText] = useState(initial);
  const [index, setIndex] = useState(0);
  const trimmed = text.trim();
  const card = readIdCard(trimmed);
  const q = useDebounced(card.ok ? card.value : trimmed, card.ok ? 0 : 180);
  const search = useQuery(patientSearchQuery(q));
  const patients = useMemo(() => (q === "" ? [] : (search.data?.items ?? [])), [q, search.data]);
  const settled = q === (card.ok ? card.value : trimmed) && !search.isFetching;
  const [enterPending, setEnterPending] = useState(false);
  const chosen = Math.min(index, Math.max(0, patients.length - 1));

  useEffect(() => {
    input.current?.focus();
  }, []);

  // A reader sends its Enter before the answer is here: remember it.
  useEffect(() => {
    if (!enterPending || !settled) return;
    setEnterPending(false);
    const only = patients[chosen];
    if (only) onChoose(only);
    else if (onRegister && trimmed !== "") onRegister(trimmed);
  }, [enterPending, settled, patients, chosen, onChoose, onRegister, trimmed]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "ArrowDown") setIndex(Math.min(chosen + 1, patients.length - 1));
    else if (event.key === "ArrowUp") setIndex(Math.max(chosen - 1, 0));
    else if (event.key === "Enter" && trimmed !== "") setEnterPending(true);
    else return;
    event.preventDefault();
  };

  const looksLikeCard = /^\d{15,17}[\dXx]$/.test(normalizeIdCard(trimmed));
  return (
    <div className={css.search} onKeyDown={onKeyDown}>
      <Input
        ref={input}
        size="large"
        prefix={<IdcardOutlined aria-hidden />}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setIndex(0);
          setEnterPending(false);
        }}
        placeholder={t("search.invite")}
        aria-label={t("search.label")}
        role="combobox"
        aria-expanded={patients.length > 0}
        aria-controls={list}
        aria-activedescendant={patients.length > 0 ? `${list}-${chosen}` : undefined}
        autoComplete="off"
        spellCheck={false}
        allowClear
        status={looksLikeCard && !card.ok ? "warning" : ""}
      />
      {looksLikeCard && !card.ok && <p className={css.warn}>{t(`fault.id_card.${card.fault}`)}</p>}
      <div id={list} role="listbox" aria-label={t("search.results")} className={css.results}>
        {patients.map((patient, position) => (
          <div
            key={patient.id}
            id={`${list}-${position}`}
            role="option"
            aria-selected={position === chosen}
            className={position === chosen ? `${css.result} ${css.on}` : css.result}
            onMouseMove={() => setIndex(position)}
            onClick={() => onChoose(patient)}
          >
            <PersonLine patient={patient} />
          </div>
        ))}
      </div>
      {search.error ? <Failure error={search.error} compact onRetry={() => void search.refetch()} /> : null}
      {trimmed === "" && <Empty icon={<IdcardOutlined />} title={t("search.start")} hint={t("search.start_hint")} />}
      {trimmed !== "" && settled && patients.length === 0 && !search.error && (
        <Empty title={t("search.none")} hint={onRegister ? t("search.none_hint") : undefined} />
      )}
      {onRegister && (
        <Button icon={<UserAddOutlined />} onClick={() => onRegister(trimmed)} block>
          {t("search.register")} <kbd>F4</kbd>
        </Button>
      )}
    </div>
  );
}

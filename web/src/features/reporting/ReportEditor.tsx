import { useQuery } from "@tanstack/react-query";
import { FilePdfOutlined, HistoryOutlined, ShareAltOutlined } from "@ant-design/icons";
import { Alert, App, Button, Popconfirm } from "antd";
import { useImperativeHandle, useRef, useState, type KeyboardEvent, type ReactNode, type Ref } from "react";
import { useTranslation } from "react-i18next";
import { path } from "@/api/client";
import { asProblem, problemText } from "@/api/problem";
import { useMay } from "@/api/session";
import type { Phrase, Report, ReportTemplate } from "@/api/types";
import { openPdf } from "@/lib/openFile";
import { stamp } from "@/lib/time";
import { StageTag } from "@/ui/Tags";
import { reports } from "./api";
import { checksOf, type Checks } from "./checks";
import { ChecksDialog, ConflictDialog, RecoveryBar, RejectDialog } from "./dialogs";
import { SECTIONS, type Section, type Text } from "./draft";
import { fill, type CaseFields } from "./macros";
import { findPhrases, joint, phrasesQuery, triggerAt, type Trigger } from "./phrases";
import { PhrasePicker } from "./PhrasePicker";
import { ChoiceStrip } from "./ChoiceStrip";
import { PhraseStrip } from "./PhraseStrip";
import { choiceAt, insertAt, nextPlaceholder, type Choice, type Range } from "./placeholders";
import { drop, find, type Remains } from "./recovery";
import { ShareDialog } from "./ShareDialog";
import { templateNote } from "./templates";
import { TemplatePicker } from "./TemplatePicker";
import { usePhraseForm } from "./usePhraseForm";
import { useDraft, type DraftHandle } from "./useDraft";
import { VersionsPanel } from "./VersionsPanel";
import css from "./Reporting.module.css";

export interface EditorHandle {
  /** Puts a sentence where the writer is, or at the end of the findings. */
  insert(sentence: string): void;
  focus(): void;
  flush(): Promise<Report | null>;
}

interface Props {
  report: Report;
  userId: string;
  modality: string;
  bodyPart: string;
  /** What the case knows, for the places of phrases and templates that it fills. */
  fields: CaseFields;
  mayShare: boolean;
  /** The role writes reports, whoever holds this one. */
  mayWrite: boolean;
  onChanged: (report: Report) => void;
  /** After signing or handing in, the reader usually goes on. */
  onDone: () => void;
  extra?: ReactNode;
  ref?: Ref<EditorHandle>;
}

/** Key it by the report's id: each report has its own draft. */
export function ReportEditor({ report, userId, modality, bodyPart, fields: caseFields, mayShare, mayWrite, onChanged, onDone, extra, ref }: Props) {
  const { t } = useTranslation("reporting");
  const handle = useDraft(report, userId, onChanged);
  const { draft } = handle;
  const { base, text } = draft;
  const editable = base.can.includes("edit");
  const adopt = (next: Report): void => {
    handle.adopt(next);
    onChanged(next);
  };
  const [remains, setRemains] = useState<Remains | null>(() =>
    editable ? find(localStorage, report, userId, Date.now()) : null,
  );
  const [versions, setVersions] = useState(false);
  const [sharing, setSharing] = useState(false);
  const fields = useRef<Partial<Record<Section, HTMLTextAreaElement | null>>>({});
  const last = useRef<Section>("findings");
  /** Sections in which the writer has set the cursor; in the others one writes at the end. */
  const visited = useRef(new Set<Section>());
  const phraseForm = usePhraseForm();
  const usesPhrases = useMay()("phrase.use") && editable;
  const phrases = useQuery({ ...phrasesQuery(), enabled: usesPhrases }).data;
  const [trigger, setTrigger] = useState<(Trigger & { section: Section; at: number }) | null>(null);
  const place = { modality, bodyPart };
  const called =
    trigger === null ? [] : findPhrases(phrases ?? [], { ...place, text: trigger.text, whole: false }).slice(0, 6);
  const strip = `phrases-of-${base.id}`;
  const [choice, setChoice] = useState<(Choice & { section: Section; at: number }) | null>(null);

  const select = (section: Section, start: number, end: number): void => {
    requestAnimationFrame(() => {
      const field = fields.current[section];
      field?.focus();
      field?.setSelectionRange(start, end);
    });
  };

  /**
   * Writes over a range as if it were typed, so that the browser's undo knows it. The cursor goes to the first place
   * to fill in, or behind.
   */
  const put = (section: Section, range: Range, added: string): void => {
    const field = fields.current[section];
    const now = text[section];
    setTrigger(null);
    setChoice(null);
    field?.focus();
    field?.setSelectionRange(range.start, range.end);
    const command = added === "" ? "delete" : "insertText";
    const typed = field != null && typeof document.execCommand === "function" && document.execCommand(command, false, added);
    if (!typed) handle.type(section, now.slice(0, range.start) + added + now.slice(range.end));
    const open = nextPlaceholder(added, 0);
    select(section, range.start + (open?.start ?? added.length), range.start + (open?.end ?? added.length));
  };

  const cursorIn = (section: Section): Range => {
    const field = fields.current[section];
    const end = text[section].length;
    if (field == null || !visited.current.has(section)) return { start: end, end };
    return { start: field.selectionStart, end: field.selectionEnd };
  };

  const insertPhrase = (phrase: Phrase): void => {
    const added = fill(phrase.text, caseFields);
    const wanted = SECTIONS.find((section) => section === phrase.section);
    if (trigger !== null && (wanted ?? trigger.section) === trigger.section) {
      put(trigger.section, trigger, joint(text[trigger.section].slice(0, trigger.start), added) + added);
      return;
    }
    // Called from another section: what was typed to call it goes.
    if (trigger !== null) put(trigger.section, trigger, "");
    const section = wanted ?? last.current;
    const range = cursorIn(section);
    const before = text[section].slice(0, range.start);
    const fresh = section !== last.current && before !== "" && !before.endsWith("\n");
    put(section, range, (fresh ? "\n" : joint(before, added)) + added);
  };

  /** Keeps what is marked, or else asks with an empty form. */
  const keepPhrase = (): void => {
    const section = last.current;
    const { start, end } = cursorIn(section);
    phraseForm.add({ section, modality, body_part: bodyPart, text: text[section].slice(start, end) });
  };

  const look = (section: Section, field: HTMLTextAreaElement): void => {
    const found = field.selectionStart === field.selectionEnd ? triggerAt(field.value, field.selectionEnd) : null;
    setTrigger((old) => {
      if (found === null) return null;
      const same = old?.section === section && old.start === found.start && old.text === found.text;
      return same ? old : { ...found, section, at: 0 };
    });
  };

  useImperativeHandle(ref, () => ({
    insert(sentence) {
      if (!editable) return;
      const section = last.current;
      const range = cursorIn(section);
      const next = insertAt(text[section], range, sentence);
      put(section, range, next.text.slice(range.start, next.cursor));
    },
    focus: () => fields.current.findings?.focus(),
    flush: handle.flush,
  }));

  const apply = (template: ReportTemplate): void => {
    const merged = merge(text, {
      ...template,
      findings: fill(template.findings, caseFields),
      impression: fill(template.impression, caseFields),
      advice: fill(template.advice, caseFields),
    });
    handle.began(templateNote(template));
    handle.replace(merged);
    const place = nextPlaceholder(merged.findings, 0);
    select("findings", place?.start ?? merged.findings.length, place?.end ?? merged.findings.length);
  };

  const choose = (option: string | undefined): void => {
    if (choice !== null && option !== undefined) put(choice.section, choice, option);
  };

  /** Keys of a place that offers words; true when the key was its. */
  const pressChoice = (event: KeyboardEvent<HTMLTextAreaElement>): boolean => {
    if (choice === null || event.nativeEvent.isComposing) return false;
    const { at, options } = choice;
    if (/^[1-9]$/.test(event.key) && Number(event.key) <= options.length) choose(options[Number(event.key) - 1]);
    else if (event.key === "Tab" && !event.shiftKey) choose(options[at]);
    else if (event.key === "Escape") setChoice(null);
    else if (event.key === "ArrowDown") setChoice({ ...choice, at: (at + 1) % options.length });
    else if (event.key === "ArrowUp") setChoice({ ...choice, at: (at + options.length - 1) % options.length });
    else return false;
    event.preventDefault();
    return true;
  };

  /** Keys of the phrases that are offered; true when the key was theirs. */
  const pressStrip = (event: KeyboardEvent<HTMLTextAreaElement>): boolean => {
    if (trigger === null || called.length === 0 || event.nativeEvent.isComposing) return false;
    const at = Math.min(trigger.at, called.length - 1);
    const phrase = called[at];
    if (event.key === "Tab" && !event.shiftKey && phrase !== undefined) insertPhrase(phrase);
    else if (event.key === "Escape") setTrigger(null);
    else if (event.key === "ArrowDown") setTrigger({ ...trigger, at: (at + 1) % called.length });
    else if (event.key === "ArrowUp") setTrigger({ ...trigger, at: (at + called.length - 1) % called.length });
    else return false;
    event.preventDefault();
    return true;
  };

  /** F2 goes to the next place to fill in, through all sections. */
  const press = (event: KeyboardEvent<HTMLTextAreaElement>, section: Section): void => {
    if (pressStrip(event) || pressChoice(event) || event.key !== "F2") return;
    event.preventDefault();
    const from = SECTIONS.indexOf(section);
    // Behind the cursor, through the other sections, and from the top of this one again.
    const turns = [...SECTIONS.slice(from), ...SECTIONS.slice(0, from), section];
    for (const [turn, candidate] of turns.entries()) {
      const start = turn === 0 ? event.currentTarget.selectionEnd : 0;
      const place = nextPlaceholder(text[candidate], start);
      if (place !== null && place.start >= start) {
        select(candidate, place.start, place.end);
        return;
      }
    }
  };

  return (
    <section className={css.editor} aria-label={t("title")}>
      <header className={css.head}>
        <StageTag stage={base.stage} />
        <SaveState handle={handle} editable={editable} />
        {base.template !== null && <span className={css.dim}>{t("template.note", { note: base.template.replace("@", " v") })}</span>}
        <span className={css.headActions}>
          {editable && <TemplatePicker modality={modality} bodyPart={bodyPart} disabled={false} onPick={apply} />}
          {usesPhrases && <PhrasePicker place={place} fields={caseFields} onPick={insertPhrase} onKeep={keepPhrase} />}
          <Button
            size="small"
            icon={<HistoryOutlined />}
            onClick={() => setVersions(true)}
            aria-label={t("versions.title")}
            title={t("versions.title")}
          />
          <Button
            size="small"
            icon={<FilePdfOutlined />}
            onClick={() => {
              void handle.flush().then(() => openPdf(path`/reports/${base.id}/pdf`));
            }}
            aria-label={t("pdf")}
            title={t("pdf")}
          />
          {mayShare && (
            <Button
              size="small"
              icon={<ShareAltOutlined />}
              onClick={() => setSharing(true)}
              aria-label={t("share.title")}
              title={t("share.title")}
            />
          )}
          {extra}
        </span>
      </header>
      {base.locked_by !== null && <Locked report={base} mayTakeOver={mayWrite} onTaken={adopt} />}
      {base.opinion !== null && base.opinion !== "" && (
        <Alert type="warning" showIcon title={t("opinion")} description={base.opinion} />
      )}
      {remains !== null && editable && (
        <RecoveryBar
          remains={remains}
          report={base}
          onRestore={() => {
            handle.replace(remains.text);
            setRemains(null);
          }}
          onDiscard={() => {
            drop(localStorage, base.id, userId);
            setRemains(null);
          }}
        />
      )}
      <div className={css.fields}>
        {SECTIONS.filter((section) => editable || text[section] !== "").map((section) => (
          <label key={section} className={css.section} data-section={section}>
            <span className={css.sectionName}>{t(`section.${section}`)}</span>
            <textarea
              ref={(element) => {
                fields.current[section] = element;
              }}
              className={css.text}
              value={text[section]}
              readOnly={!editable}
              maxLength={20_000}
              placeholder={editable ? t(`section.${section}.hint`) : ""}
              aria-controls={trigger?.section === section && called.length > 0 ? strip : undefined}
              aria-activedescendant={
                trigger?.section === section && called.length > 0 ? `${strip}-${Math.min(trigger.at, called.length - 1)}` : undefined
              }
              onFocus={() => {
                last.current = section;
                visited.current.add(section);
              }}
              onBlur={() => {
                setTrigger(null);
                setChoice(null);
              }}
              onSelect={(event) => {
                // Moving the cursor away ends the call; typing renews it.
                const { selectionStart, selectionEnd, value } = event.currentTarget;
                if (trigger !== null && selectionEnd !== trigger.end) setTrigger(null);
                const found = editable ? choiceAt(value, { start: selectionStart, end: selectionEnd }) : null;
                setChoice(found === null ? null : { ...found, section, at: 0 });
              }}
              onCompositionStart={() => handle.composing(true)}
              onCompositionEnd={() => handle.composing(false)}
              onKeyDown={(event) => press(event, section)}
              onChange={(event) => {
                handle.type(section, event.target.value);
                if (usesPhrases && !(event.nativeEvent as InputEvent).isComposing) look(section, event.target);
              }}
            />
            {choice?.section === section && <ChoiceStrip choice={choice} at={choice.at} onPick={choose} />}
            {trigger?.section === section && called.length > 0 && (
              <PhraseStrip
                id={strip}
                phrases={called}
                at={Math.min(trigger.at, called.length - 1)}
                fields={caseFields}
                onPick={insertPhrase}
              />
            )}
          </label>
        ))}
      </div>
      <Actions handle={handle} onChanged={onChanged} onDone={onDone} userId={userId} />
      <VersionsPanel report={base} open={versions} onClose={() => setVersions(false)} />
      {phraseForm.dialog}
      {sharing && <ShareDialog orderId={base.order_id} onClose={() => setSharing(false)} />}
      {draft.theirs !== null && (
        <ConflictDialog mine={text} theirs={draft.theirs} onMine={handle.keepMine} onTheirs={handle.takeTheirs} />
      )}
    </section>
  );
}

/** A template fills empty sections and is added to those that have text: nothing is lost. */
function merge(text: Text, template: ReportTemplate): Text {
  const joined = (mine: string, added: string): string =>
    mine.trim() === "" ? added : added === "" ? mine : `${mine.trimEnd()}\n${added}`;
  return {
    findings: joined(text.findings, template.findings),
    impression: joined(text.impression, template.impression),
    advice: joined(text.advice, template.advice ?? ""),
  };
}

/** Somebody else has the case. Taking it over is possible, is recorded, and is never by accident. */
function Locked({
  report,
  mayTakeOver,
  onTaken,
}: {
  report: Report;
  mayTakeOver: boolean;
  onTaken: (report: Report) => void;
}) {
  const { t } = useTranslation("reporting");
  const [problem, setProblem] = useState<unknown>(null);
  const name = report.locked_by ?? "";
  const take = async (): Promise<void> => {
    try {
      onTaken(await reports.takeOver(report.order_id));
    } catch (error) {
      setProblem(error);
    }
  };
  return (
    <Alert
      type={problem === null ? "info" : "error"}
      showIcon
      title={problem === null ? t("locked", { name }) : problemText(t, problem)}
      action={
        mayTakeOver && report.stage !== "final" ? (
          <Popconfirm
            title={t("take_over.sure", { name })}
            description={t("take_over.effect")}
            okText={t("take_over")}
            onConfirm={take}
          >
            <Button size="small">{t("take_over")}</Button>
          </Popconfirm>
        ) : undefined
      }
    />
  );
}

function SaveState({ handle, editable }: { handle: DraftHandle; editable: boolean }) {
  const { t } = useTranslation("reporting");
  const { draft } = handle;
  if (!editable) return <span className={css.dim}>{t("read_only")}</span>;
  const time = stamp(draft.base.updated_at);
  const failed = draft.phase === "offline";
  return (
    <span className={failed ? css.saveFailed : css.dim} role="status" data-save={draft.phase}>
      {failed ? t("save.failed", { reason: problemText(t, draft.problem) }) : t(`save.${draft.phase}`, { time })}
    </span>
  );
}

interface ActionsProps {
  handle: DraftHandle;
  userId: string;
  onChanged: (report: Report) => void;
  onDone: () => void;
}

function Actions({ handle, userId, onChanged, onDone }: ActionsProps) {
  const { t } = useTranslation("reporting");
  const { message } = App.useApp();
  const { base } = handle.draft;
  const [busy, setBusy] = useState<"submit" | "audit" | "reject" | null>(null);
  const [problem, setProblem] = useState<unknown>(null);
  const [checks, setChecks] = useState<Checks | null>(null);
  const [rejecting, setRejecting] = useState(false);

  /** Saves what is open first: what is signed must be what is on the screen. */
  const act = async (kind: "submit" | "audit" | "reject", call: (saved: Report) => Promise<Report>): Promise<void> => {
    setBusy(kind);
    setProblem(null);
    try {
      const saved = await handle.flush();
      if (saved === null) return;
      const next = await call(saved);
      handle.adopt(next);
      drop(localStorage, next.id, userId);
      onChanged(next);
      setChecks(null);
      setRejecting(false);
      void message.success(t(`done.${kind}`));
      onDone();
    } catch (error) {
      const found = checksOf(error);
      if (found !== null) setChecks(found);
      else if (asProblem(error).code === "report.stale") handle.adopt(await reports.read(base.id));
      else setProblem(error);
    } finally {
      setBusy(null);
    }
  };
  const audit = (reason: string | null): Promise<void> =>
    act("audit", (saved) => reports.audit(saved.id, saved.rev, reason));

  const may = (step: string): boolean => base.can.includes(step);
  if (!may("submit") && !may("audit") && !may("reject")) return null;
  return (
    <footer className={css.actions}>
      {problem !== null && !rejecting && (
        <Alert type="error" showIcon closable title={problemText(t, problem)} onClose={() => setProblem(null)} />
      )}
      <div className={css.actionRow}>
        {may("reject") && (
          <Button danger onClick={() => setRejecting(true)} disabled={busy !== null}>
            {t("action.reject")}
          </Button>
        )}
        <span className={css.spring} />
        {may("submit") && (
          <Button
            type={may("audit") ? "default" : "primary"}
            loading={busy === "submit"}
            disabled={busy !== null && busy !== "submit"}
            onClick={() => void act("submit", (saved) => reports.submit(saved.id, saved.rev))}
          >
            {t("action.submit")}
          </Button>
        )}
        {may("audit") && (
          <Popconfirm
            title={t("audit.sure")}
            description={t("audit.effect")}
            okText={t("action.audit")}
            onConfirm={() => void audit(null)}
          >
            <Button type="primary" loading={busy === "audit"} disabled={busy !== null && busy !== "audit"}>
              {t("action.audit")}
            </Button>
          </Popconfirm>
        )}
      </div>
      {checks !== null && (
        <ChecksDialog
          checks={checks}
          busy={busy === "audit"}
          onOverride={(reason) => void audit(reason)}
          onClose={() => setChecks(null)}
        />
      )}
      {rejecting && (
        <RejectDialog
          busy={busy === "reject"}
          problem={problem}
          onReject={(opinion) => void act("reject", (saved) => reports.reject(saved.id, opinion))}
          onClose={() => {
            setRejecting(false);
            setProblem(null);
          }}
        />
      )}
    </footer>
  );
}

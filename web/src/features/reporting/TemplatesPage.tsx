import { DownloadOutlined, PlusOutlined, UploadOutlined } from "@ant-design/icons";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { App, Button, Drawer, Input, Popconfirm } from "antd";
import { useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { problemText } from "@/api/problem";
import { useDirectory, useMay } from "@/api/session";
import type { TemplateVersion } from "@/api/types";
import { named } from "@/lib/i18n";
import { fullStamp, stamp } from "@/lib/time";
import { Chips } from "@/ui/Chips";
import { Empty } from "@/ui/Empty";
import { PageFrame, Panel } from "@/ui/PageFrame";
import { RowTable, type Column } from "@/ui/RowTable";
import { Tag, type Tone } from "@/ui/Tags";
import { SECTIONS } from "./draft";
import { download } from "./download";
import { diffText } from "./diff";
import { DiffView } from "./DiffView";
import { fromMrrt, toMrrt } from "./mrrt";
import { TextsNav } from "./TextsNav";
import { TemplateForm, type TemplateEntry } from "./TemplateForm";
import { byCode, templateCalls, templateNote, templateVersionsQuery, type Versions } from "./templates";
import css from "./Phrases.module.css";

type Filter = "all" | "draft" | "approved" | "retired";
const TONES: Record<TemplateVersion["state"], Tone> = { draft: "warn", approved: "good", retired: "faint" };

/** Report templates: what writers are offered, what waits for approval, what was before. */
export function TemplatesPage() {
  const { t, i18n } = useTranslation("reporting");
  const { message } = App.useApp();
  const queries = useQueryClient();
  const [filter, setFilter] = useState<Filter>("all");
  const [text, setText] = useState("");
  const [open, setOpen] = useState<string | null>(null);
  const [form, setForm] = useState<{ start: TemplateEntry; known: boolean } | null>(null);
  const file = useRef<HTMLInputElement>(null);
  const query = useQuery(templateVersionsQuery);
  const all = query.data === undefined ? undefined : byCode(query.data);
  const inFilter = (entry: Versions, name: Filter): boolean =>
    name === "all" ||
    (name === "draft" ? entry.draft !== null : name === "approved" ? entry.approved !== null : entry.newest.state === "retired");
  const words = text.trim().toLowerCase();
  const shown = all?.filter(
    (entry) =>
      inFilter(entry, filter) &&
      [entry.code, entry.newest.name, entry.newest.name_en, entry.newest.findings, entry.newest.impression].some((field) =>
        field.toLowerCase().includes(words),
      ),
  );
  const current = all?.find(({ code }) => code === open) ?? null;

  const save = useMutation({
    mutationFn: ({ code, ...draft }: TemplateEntry) => templateCalls.draft(code, draft),
    onSuccess: async (saved) => {
      setForm(null);
      setOpen(saved.code);
      void message.success(t("template.saved"));
      await queries.invalidateQueries({ queryKey: ["templates"] });
    },
  });
  const edit = (start: TemplateEntry, known: boolean): void => {
    save.reset();
    setForm({ start, known });
  };
  const fresh: TemplateEntry = { code: "", rev: null, name: "", name_en: "", modality: "CT", body_part: "", findings: "", impression: "", advice: "", source: "" };

  const columns: Column<Versions>[] = [
    { key: "name", title: t("template.name"), render: ({ newest }) => named(newest, i18n.language) },
    { key: "code", title: t("template.code"), width: 150, wide: true, render: ({ code }) => <span className="mono">{code}</span> },
    {
      key: "fits",
      title: t("phrase.fits"),
      width: 130,
      wide: true,
      render: ({ newest }) => [newest.modality, newest.body_part].filter((part) => part !== "").join(" "),
    },
    { key: "source", title: t("template.source"), wide: true, render: ({ newest }) => newest.source },
    {
      key: "state",
      title: t("template.state"),
      width: 170,
      render: ({ draft, approved, newest }) => (
        <span className={css.tags}>
          {approved !== null && <StateTag version={approved} />}
          {draft !== null && <StateTag version={draft} />}
          {approved === null && draft === null && <StateTag version={newest} />}
        </span>
      ),
    },
    { key: "updated", title: t("phrase.updated"), width: 150, wide: true, numeric: true, render: ({ newest }) => stamp(newest.updated_at) },
  ];

  return (
    <PageFrame
      title={t("template.title")}
      aside={<TextsNav />}
      actions={
        <>
          <Button icon={<UploadOutlined />} onClick={() => file.current?.click()}>
            {t("template.import")}
          </Button>
          <Button type="primary" icon={<PlusOutlined />} onClick={() => edit(fresh, false)}>
            {t("template.add")}
          </Button>
        </>
      }
    >
      <input
        ref={file}
        className={css.file}
        type="file"
        accept="text/html,.html,.htm,.xhtml"
        aria-label={t("template.import")}
        onChange={(event) => {
          const chosen = event.target.files?.[0];
          event.target.value = "";
          void chosen?.text().then((content) => {
            const found = fromMrrt(content);
            if (found === null) {
              void message.error(t("template.import_wrong"));
              return;
            }
            const known = all?.find(({ code }) => code === found.code) ?? null;
            edit({ ...found, rev: known?.draft?.rev ?? null }, false);
          });
        }}
      />
      <div className={css.bar}>
        <Chips<Filter>
          label={t("template.state")}
          value={filter}
          onChange={setFilter}
          chips={(["all", "draft", "approved", "retired"] as const).map((value) => ({
            value,
            label: t(`template.filter_${value}`),
            count: all?.filter((entry) => inFilter(entry, value)).length,
          }))}
        />
        <Input.Search className={css.search} allowClear value={text} onChange={(event) => setText(event.target.value)} placeholder={t("templates.search")} aria-label={t("templates.search")} />
      </div>
      <Panel flush>
        <RowTable
          main
          label={t("template.title")}
          columns={columns}
          rows={shown}
          rowKey={({ code }) => code}
          error={query.isError ? query.error : undefined}
          onRetry={() => void query.refetch()}
          onOpen={({ code }) => setOpen(code)}
          selected={open}
          empty={<Empty title={t(words === "" && filter === "all" ? "template.none" : "templates.none")} />}
        />
      </Panel>
      {current !== null && <TemplateDrawer entry={current} onEdit={edit} onClose={() => setOpen(null)} />}
      {form !== null && (
        <TemplateForm
          start={form.start}
          known={form.known}
          parts={[...new Set((all ?? []).map(({ newest }) => newest.body_part))].filter((part) => part !== "").sort()}
          busy={save.isPending}
          problem={save.isError ? save.error : null}
          onSave={(entry) => save.mutate(entry)}
          onClose={() => setForm(null)}
        />
      )}
    </PageFrame>
  );
}

function StateTag({ version }: { version: TemplateVersion }) {
  const { t } = useTranslation("reporting");
  return <Tag tone={TONES[version.state]}>{t("template.state_n", { state: t(`template.state.${version.state}`), n: version.version })}</Tag>;
}

interface DrawerProps {
  entry: Versions;
  onEdit: (start: TemplateEntry, known: boolean) => void;
  onClose: () => void;
}

/** One template: each version, what its draft would change, and what may be done. */
function TemplateDrawer({ entry, onEdit, onClose }: DrawerProps) {
  const { t, i18n } = useTranslation("reporting");
  const { message } = App.useApp();
  const queries = useQueryClient();
  const directory = useDirectory();
  const approver = useMay()("template.approve");
  const [chosen, setChosen] = useState<number | null>(null);
  const version = entry.all.find((candidate) => candidate.version === chosen) ?? entry.newest;
  const before = version.state === "draft" ? entry.approved : null;
  const act = useMutation({
    mutationFn: ({ run }: { run: () => Promise<unknown>; done: string }) => run(),
    onSuccess: (_, { done }) => {
      setChosen(null);
      void message.success(done);
    },
    onError: (error) => void message.error(problemText(t, error)),
    onSettled: () => queries.invalidateQueries({ queryKey: ["templates"] }),
  });
  const startOf = ({ code, name, name_en, modality, body_part, findings, impression, advice, source }: TemplateVersion): TemplateEntry => ({
    code, name, name_en, modality, body_part, findings, impression, advice, source,
    rev: entry.draft?.rev ?? null,
  });
  const { code, draft } = entry;
  return (
    <Drawer
      open
      onClose={onClose}
      size="large"
      title={named(entry.newest, i18n.language)}
      footer={
        <div className={css.drawerFoot}>
          <Button
            icon={<DownloadOutlined />}
            onClick={() =>
              download(`${templateNote(version)}.html`, "text/html", toMrrt(version, directory === undefined ? "" : named(directory.org, i18n.language)))
            }
          >
            {t("template.export")}
          </Button>
          <span className={css.spring} />
          {version.state === "approved" && approver && (
            <Popconfirm
              title={t("template.retire_sure")}
              description={t("template.retire_effect")}
              okText={t("template.retire")}
              onConfirm={() => act.mutate({ run: () => templateCalls.retire(code), done: t("template.retired") })}
            >
              <Button danger>{t("template.retire")}</Button>
            </Popconfirm>
          )}
          {version.state === "draft" && (
            <Popconfirm
              title={t("template.discard_sure")}
              okText={t("template.discard")}
              onConfirm={() => act.mutate({ run: () => templateCalls.discard(code), done: t("template.discarded") })}
            >
              <Button danger>{t("template.discard")}</Button>
            </Popconfirm>
          )}
          <Button onClick={() => onEdit(startOf(draft ?? version), true)}>{t(draft === null ? "template.next" : "template.edit")}</Button>
          {version.state === "draft" && approver && (
            <Button
              type="primary"
              disabled={version.own}
              title={version.own ? t("errors:template.own") : undefined}
              loading={act.isPending}
              onClick={() => act.mutate({ run: () => templateCalls.approve(code, version.rev), done: t("template.approved") })}
            >
              {t("template.approve")}
            </Button>
          )}
        </div>
      }
    >
      <Chips<string>
        label={t("versions.title")}
        value={String(version.version)}
        onChange={(value) => setChosen(Number(value))}
        chips={entry.all.map((candidate) => ({
          value: String(candidate.version),
          label: t("template.state_n", { state: t(`template.state.${candidate.state}`), n: candidate.version }),
        }))}
      />
      <dl className={css.facts}>
        <dt>{t("template.code")}</dt>
        <dd className="mono">{templateNote(version)}</dd>
        <dt>{t("phrase.fits")}</dt>
        <dd>{[version.modality, version.body_part === "" ? t("phrase.any") : version.body_part].join(" ")}</dd>
        <dt>{t("template.source")}</dt>
        <dd>{version.source === "" ? "–" : version.source}</dd>
        <dt>{t("template.written")}</dt>
        <dd>{[version.author, fullStamp(version.updated_at)].filter((part) => part !== "").join(" ")}</dd>
        {version.approved_by !== null && version.approved_at !== null && (
          <>
            <dt>{t("template.approved_by")}</dt>
            <dd>{`${version.approved_by} ${fullStamp(version.approved_at)}`}</dd>
          </>
        )}
        {version.retired_at !== null && (
          <>
            <dt>{t("template.state.retired")}</dt>
            <dd>{fullStamp(version.retired_at)}</dd>
          </>
        )}
      </dl>
      {version.state === "draft" && version.own && <p className={css.placesLabel}>{t("template.own_hint")}</p>}
      {before !== null && <p className={css.placesLabel}>{t("template.compared", { n: before.version })}</p>}
      {SECTIONS.filter((section) => version[section] !== "" || (before !== null && before[section] !== "")).map((section) => (
        <section key={section} className={css.templateText}>
          <h3>{t(`section.${section}`)}</h3>
          {before === null ? <p>{version[section]}</p> : <DiffView parts={diffText(before[section], version[section])} />}
        </section>
      ))}
    </Drawer>
  );
}

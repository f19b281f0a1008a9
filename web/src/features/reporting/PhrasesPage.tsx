import { ArrowDownOutlined, ArrowUpOutlined, DeleteOutlined, DownloadOutlined, PlusOutlined, UndoOutlined, UploadOutlined } from "@ant-design/icons";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { App, Button, Input, Modal, Select } from "antd";
import { useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { problemText } from "@/api/problem";
import { useMay } from "@/api/session";
import type { Phrase, PhraseContent } from "@/api/types";
import { useKeyHelp } from "@/lib/keyHelp";
import { stamp } from "@/lib/time";
import { Chips } from "@/ui/Chips";
import { Empty } from "@/ui/Empty";
import { PageFrame, Panel } from "@/ui/PageFrame";
import { RowTable, type Column } from "@/ui/RowTable";
import { CASE_FIELDS, fieldName, type CaseFields } from "./macros";
import { exportText, findPhrases, importText, phraseCalls, phrasesQuery } from "./phrases";
import { download } from "./download";
import { TextsNav } from "./TextsNav";
import { PhraseText } from "./PhraseText";
import { usePhraseForm } from "./usePhraseForm";
import css from "./Phrases.module.css";

type Shelf = "own" | "shared" | "deleted";

/** The phrases one writes with: the own ones and the department's, in the order in which they are offered. */
export function PhrasesPage() {
  const { t, i18n } = useTranslation("reporting");
  const { message } = App.useApp();
  const queries = useQueryClient();
  const may = useMay();
  const [shelf, setShelf] = useState<Shelf>("own");
  const [text, setText] = useState("");
  const [offered, setOffered] = useState<PhraseContent[] | null>(null);
  const file = useRef<HTMLInputElement>(null);
  const form = usePhraseForm();
  const living = useQuery(phrasesQuery());
  const gone = useQuery({ ...phrasesQuery(true), enabled: shelf === "deleted" });
  // Without a case each field stands for itself, marked as what will be filled in.
  const names: CaseFields = Object.fromEntries(CASE_FIELDS.map((field) => [field, `{${fieldName(field, i18n.language)}}`]));
  const share = may("template.edit");
  const query = shelf === "deleted" ? gone : living;
  const onShelf = (name: Shelf): Phrase[] | undefined =>
    name === "deleted" ? gone.data : living.data?.filter((phrase) => phrase.shared === (name === "shared"));
  const rows = onShelf(shelf);
  const mayChange = (phrase: Phrase): boolean => !phrase.shared || share;
  const shown =
    rows === undefined || text.trim() === "" ? rows : findPhrases(rows, { text, whole: true, modality: "", bodyPart: "" });
  useKeyHelp({
    title: t("phrase.title"),
    rows: [
      [["Enter"], t("phrase.edit")],
      [["Alt ↑", "Alt ↓"], t("phrase.key_move")],
      [["Delete"], t("phrase.remove")],
    ],
  });

  const renew = () => queries.invalidateQueries({ queryKey: ["phrases"] });
  const failed = (error: unknown): void => void message.error(problemText(t, error));
  const restore = useMutation({
    mutationFn: (id: string) => phraseCalls.restore(id),
    onSuccess: () => void message.success(t("phrase.restored")),
    onError: failed,
    onSettled: renew,
  });
  const remove = useMutation({
    mutationFn: (phrase: Phrase) => phraseCalls.remove(phrase.id),
    onSuccess: (_, phrase) => {
      const key = `phrase-${phrase.id}`;
      void message.open({
        key,
        type: "info",
        duration: 8,
        content: (
          <span>
            {t("phrase.removed", { name: phrase.name })}{" "}
            <Button
              size="small"
              type="link"
              onClick={() => {
                message.destroy(key);
                restore.mutate(phrase.id);
              }}
            >
              {t("phrase.undo")}
            </Button>
          </span>
        ),
      });
    },
    onError: failed,
    onSettled: renew,
  });
  const arrange = useMutation({
    mutationFn: (ids: readonly string[]) => phraseCalls.arrange(shelf === "shared", ids),
    onError: failed,
    onSettled: renew,
  });
  const bring = useMutation({
    mutationFn: ({ shared, phrases }: { shared: boolean; phrases: readonly PhraseContent[] }) => phraseCalls.importAll(shared, phrases),
    onSuccess: ({ added, changed, same }, { shared }) => {
      setOffered(null);
      setShelf(shared ? "shared" : "own");
      void message.success(t("phrase.imported", { added, changed, same }));
    },
    onError: failed,
    onSettled: renew,
  });

  const movable = shelf !== "deleted" && text.trim() === "" && (shelf === "own" || share);
  const move = (phrase: Phrase, step: 1 | -1): void => {
    const ids = (rows ?? []).map(({ id }) => id);
    const from = ids.indexOf(phrase.id);
    const to = from + step;
    if (!movable || from < 0 || to < 0 || to >= ids.length) return;
    ids.splice(to, 0, ...ids.splice(from, 1));
    // The list follows at once; the server's answer confirms it.
    queries.setQueryData(phrasesQuery().queryKey, (all) =>
      all === undefined
        ? all
        : [...all.filter(({ shared }) => shared !== phrase.shared), ...ids.flatMap((id) => all.find((entry) => entry.id === id) ?? [])],
    );
    arrange.mutate(ids);
  };

  const columns: Column<Phrase>[] = [
    {
      key: "name",
      title: t("phrase.name"),
      width: "20%",
      render: (row) => (
        <>
          {row.name} {row.code !== "" && <kbd className={css.code}>{row.code}</kbd>}
        </>
      ),
    },
    { key: "category", title: t("phrase.category"), width: 96, wide: true, render: (row) => row.category },
    {
      key: "fits",
      title: t("phrase.fits"),
      width: 120,
      wide: true,
      render: (row) => [row.modality, row.body_part].filter((part) => part !== "").join(" ") || t("phrase.any"),
    },
    {
      key: "text",
      title: t("phrase.text"),
      render: (row) => (
        <span className={css.excerpt}>
          <PhraseText text={row.text} fields={names} />
        </span>
      ),
    },
    {
      key: "updated",
      title: t("phrase.updated"),
      width: 150,
      wide: true,
      numeric: true,
      render: (row) => (shelf === "shared" ? `${row.updated_by} ${stamp(row.updated_at)}` : stamp(row.deleted_at ?? row.updated_at)),
    },
    {
      key: "actions",
      title: <span className="visually-hidden">{t("phrase.actions")}</span>,
      align: "right",
      width: shelf === "deleted" ? 96 : undefined,
      render: (row) =>
        !mayChange(row) ? null : shelf === "deleted" ? (
          <Button size="small" icon={<UndoOutlined />} loading={restore.isPending && restore.variables === row.id} onClick={() => restore.mutate(row.id)}>
            {t("phrase.restore")}
          </Button>
        ) : (
          <span className={css.actions} onClick={(event) => event.stopPropagation()}>
            {movable && (
              <>
                <Button className={css.deskOnly} size="small" type="text" icon={<ArrowUpOutlined />} disabled={row === rows?.[0]} aria-label={t("phrase.up", { name: row.name })} onClick={() => move(row, -1)} />
                <Button className={css.deskOnly} size="small" type="text" icon={<ArrowDownOutlined />} disabled={row === rows?.at(-1)} aria-label={t("phrase.down", { name: row.name })} onClick={() => move(row, 1)} />
              </>
            )}
            <Button size="small" type="text" danger icon={<DeleteOutlined />} aria-label={t("phrase.remove_of", { name: row.name })} onClick={() => remove.mutate(row)} />
          </span>
        ),
    },
  ];

  return (
    <PageFrame
      title={t("phrase.title")}
      aside={<TextsNav />}
      actions={
        <>
          <Button icon={<DownloadOutlined />} disabled={shelf === "deleted" || (rows ?? []).length === 0} onClick={() => download(`phrases-${shelf}.json`, "application/json", exportText(rows ?? []))}>
            {t("phrase.export")}
          </Button>
          <Button icon={<UploadOutlined />} onClick={() => file.current?.click()}>
            {t("phrase.import")}
          </Button>
          <Button type="primary" icon={<PlusOutlined />} onClick={() => form.add({ shared: shelf === "shared" && share })}>
            {t("phrase.add")}
          </Button>
        </>
      }
    >
      <input
        ref={file}
        className={css.file}
        type="file"
        accept="application/json,.json"
        aria-label={t("phrase.import")}
        onChange={(event) => {
          const chosen = event.target.files?.[0];
          event.target.value = "";
          void chosen?.text().then((content) => {
            const found = importText(content);
            if (found === null || found.length === 0) void message.error(t("phrase.import_wrong"));
            else setOffered(found);
          });
        }}
      />
      <div className={css.bar}>
        <Chips<Shelf>
          label={t("phrase.shelf")}
          value={shelf}
          onChange={setShelf}
          chips={[
            { value: "own", label: t("phrase.shelf_own"), count: onShelf("own")?.length },
            { value: "shared", label: t("phrase.shelf_shared"), count: onShelf("shared")?.length },
            { value: "deleted", label: t("phrase.shelf_deleted") },
          ]}
        />
        <Input.Search className={css.search} allowClear value={text} onChange={(event) => setText(event.target.value)} placeholder={t("phrase.search")} aria-label={t("phrase.search")} />
      </div>
      <Panel flush>
        <RowTable
          main
          label={t("phrase.title")}
          columns={columns}
          rows={shown}
          rowKey={(row) => row.id}
          error={query.isError ? query.error : undefined}
          onRetry={() => void query.refetch()}
          onOpen={(row) => {
            if (shelf !== "deleted" && mayChange(row)) form.edit(row);
          }}
          onRowKey={(event, row) => {
            if (shelf === "deleted" || !mayChange(row)) return;
            if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) {
              event.preventDefault();
              move(row, event.key === "ArrowUp" ? -1 : 1);
            } else if (event.key === "Delete") remove.mutate(row);
          }}
          empty={
            text.trim() !== "" ? (
              <Empty title={t("phrase.none")} />
            ) : (
              <Empty title={t(`phrase.empty_${shelf}`)} hint={shelf === "deleted" ? undefined : t("phrase.empty_hint")} />
            )
          }
        />
      </Panel>
      {form.dialog}
      {offered !== null && (
        <ImportDialog
          count={offered.length}
          mayShare={share}
          start={shelf === "shared" && share}
          busy={bring.isPending}
          onImport={(shared) => bring.mutate({ shared, phrases: offered })}
          onClose={() => setOffered(null)}
        />
      )}
    </PageFrame>
  );
}

interface ImportProps {
  count: number;
  mayShare: boolean;
  start: boolean;
  busy: boolean;
  onImport: (shared: boolean) => void;
  onClose: () => void;
}

function ImportDialog({ count, mayShare, start, busy, onImport, onClose }: ImportProps) {
  const { t } = useTranslation("reporting");
  const [shared, setShared] = useState(start);
  return (
    <Modal open title={t("phrase.import_title", { count })} okText={t("phrase.import")} cancelText={t("common:cancel")} confirmLoading={busy} onOk={() => onImport(shared)} onCancel={onClose}>
      <p>{t("phrase.import_effect")}</p>
      {mayShare && (
        <Select
          value={shared}
          onChange={setShared}
          aria-label={t("phrase.shelf")}
          style={{ minWidth: 160 }}
          options={[
            { value: false, label: t("phrase.shelf_own") },
            { value: true, label: t("phrase.shelf_shared") },
          ]}
        />
      )}
    </Modal>
  );
}

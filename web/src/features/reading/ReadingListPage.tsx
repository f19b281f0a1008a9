import { LockOutlined, ReloadOutlined } from "@ant-design/icons";
import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { Button, Input, Select, Skeleton } from "antd";
import { useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { useTranslation } from "react-i18next";
import { useLive, useLiveState } from "@/api/live";
import type { ExamState, Priority, ReadingRow, ReportStage } from "@/api/types";
import { itemNamed } from "@/lib/i18n";
import { stamp } from "@/lib/time";
import { useKeyHelp } from "@/lib/keyHelp";
import { useDebounced } from "@/lib/useDebounced";
import { isIdle, useKeys } from "@/lib/useKeys";
import { Empty } from "@/ui/Empty";
import { Failure } from "@/ui/Failure";
import { PageFrame } from "@/ui/PageFrame";
import { ExamTag, PriorityTag, StageTag } from "@/ui/Tags";
import { ageText } from "./age";
import { countsQuery, worklistQuery, type ListFilter } from "./api";
import { casesOf, GROUPS, groupStates, mergeRows, modalitiesOf, nextRow, waitingOf } from "./rows";
import css from "./Reading.module.css";

const PRIORITIES: readonly Priority[] = ["emergency", "urgent", "routine"];
const SORTS = ["waiting", "priority", "imaged_at"] as const;

type Search = Record<string, string | undefined>;

export function ReadingListPage() {
  const { t } = useTranslation("reading");
  const search: Search = useSearch({ strict: false });
  const navigate = useNavigate();
  const set = (change: Search): void => {
    void navigate({ to: "/reading", search: { ...search, ...change }, replace: true });
  };
  const [text, setText] = useState(search["q"] ?? "");
  const q = useDebounced(text, 200);
  const filter: ListFilter = useMemo(
    () => ({
      state: groupStates(search["group"]),
      modality: search["modality"],
      priority: search["priority"],
      q: q.trim() === "" ? undefined : q.trim(),
      sort: search["sort"] ?? "priority",
    }),
    [search, q],
  );
  const list = useInfiniteQuery(worklistQuery(filter));
  useLive(["report", "study", "exam", "order", "case", "mpps"], [["reading", "list"], ["reading", "counts"]]);
  const counts = useQuery(countsQuery(filter.q)).data;
  const chosen = { group: search["group"], modality: search["modality"], priority: search["priority"] };
  const live = useLiveState();
  useKeyHelp({
    title: t("list.title"),
    rows: [
      [["↑", "↓"], t("app:help.row")],
      [["Home", "End"], t("app:help.first_last")],
      [["Enter"], t("app:help.open")],
    ],
  });

  return (
    <PageFrame
      title={t("list.title")}
      fill
      aside={
        live === "lost" && list.dataUpdatedAt > 0
          ? t("list.old", { time: stamp(new Date(list.dataUpdatedAt).toISOString()) })
          : undefined
      }
      actions={
        <>
          <Input.Search
            allowClear
            value={text}
            onChange={(event) => setText(event.target.value)}
            placeholder={t("list.search")}
            aria-label={t("list.search")}
            className={css.search}
          />
          <Select
            value={filter.sort}
            onChange={(sort) => set({ sort })}
            aria-label={t("list.sort")}
            options={SORTS.map((value) => ({ value, label: t(`sort.${value}`) }))}
            className={css.sort}
          />
          <Button
            icon={<ReloadOutlined />}
            onClick={() => void list.refetch()}
            aria-label={t("list.reload")}
            title={t("list.reload")}
          />
        </>
      }
    >
      <div className={css.chips} role="group" aria-label={t("list.filters")}>
        <Chips
          label={t("filter.group")}
          value={search["group"]}
          options={Object.keys(GROUPS).map((key) => [key, t(`group.${key}`), casesOf(counts, { ...chosen, group: key })])}
          onChange={(group) => set({ group })}
        />
        <Chips
          label={t("filter.modality")}
          value={search["modality"]}
          options={modalitiesOf(counts, search["modality"]).map((key) => [key, key, casesOf(counts, { ...chosen, modality: key })])}
          onChange={(modality) => set({ modality })}
        />
        <Chips
          label={t("filter.priority")}
          value={search["priority"]}
          options={PRIORITIES.map((key) => [key, t(`common:priority.${key}`), casesOf(counts, { ...chosen, priority: key })])}
          onChange={(priority) => set({ priority })}
        />
      </div>
      {list.isPending ? (
        <Skeleton active paragraph={{ rows: 10 }} title={false} />
      ) : list.isError && list.data === undefined ? (
        <Failure error={list.error} onRetry={() => void list.refetch()} />
      ) : (
        <Rows
          key={JSON.stringify(filter)}
          incoming={list.data?.pages.flatMap((page) => page.items) ?? []}
          more={list.hasNextPage}
          loadingMore={list.isFetchingNextPage}
          onMore={() => void list.fetchNextPage()}
          filtered={
            filter.q !== undefined ||
            filter.modality !== undefined ||
            filter.priority !== undefined ||
            filter.state !== undefined
          }
          onClear={() => {
            setText("");
            set({ group: undefined, modality: undefined, priority: undefined });
          }}
        />
      )}
    </PageFrame>
  );
}

interface ChipsProps {
  label: string;
  value: string | undefined;
  /** Value, word, and how many cases it would show. */
  options: readonly (readonly [string, string, number | undefined])[];
  onChange: (value: string | undefined) => void;
}

function Chips({ label, value, options, onChange }: ChipsProps) {
  return (
    <div className={css.chipGroup} role="group" aria-label={label}>
      {options.map(([key, text, count]) => (
        <button
          key={key}
          type="button"
          className={value === key ? `${css.chip} ${css.chipOn}` : css.chip}
          aria-pressed={value === key}
          onClick={() => onChange(value === key ? undefined : key)}
        >
          {text}{" "}
          {count !== undefined && <span className={`${css.chipCount} num`}>{count}</span>}
        </button>
      ))}
    </div>
  );
}

interface RowsProps {
  incoming: readonly ReadingRow[];
  more: boolean;
  loadingMore: boolean;
  onMore: () => void;
  filtered: boolean;
  onClear: () => void;
}

function Rows({ incoming, more, loadingMore, onMore, filtered, onClear }: RowsProps) {
  const { t, i18n } = useTranslation("reading");
  const navigate = useNavigate();
  const [over, setOver] = useState(false);
  const [selected, setSelected] = useState<string | null>(null);
  const [shown, setShown] = useState<readonly ReadingRow[]>(incoming);
  const { rows, arrived } = mergeRows(shown, incoming, over);
  const body = useRef<HTMLTableSectionElement>(null);

  useEffect(() => {
    if (!over) setShown(incoming);
  }, [incoming, over]);

  const open = (row: ReadingRow): void => {
    void navigate({ to: "/reading/$orderId", params: { orderId: row.order_id } });
  };
  const at = Math.max(
    0,
    rows.findIndex((row) => row.order_id === selected),
  );
  const press = (event: KeyboardEvent): void => {
    const row = rows[at];
    if (event.key === "Enter" && row !== undefined) {
      event.preventDefault();
      open(row);
      return;
    }
    const next = nextRow(selected === null ? -1 : at, event.key, rows.length);
    const target = next === null ? undefined : rows[next];
    if (next === null || target === undefined) return;
    event.preventDefault();
    setSelected(target.order_id);
    body.current?.querySelectorAll<HTMLTableRowElement>("tr")[next]?.focus();
  };

  /** The arrows reach the list from anywhere on the page. */
  const reach = (event: globalThis.KeyboardEvent): void => {
    if (event.defaultPrevented || rows.length === 0 || !isIdle(event.target)) return;
    event.preventDefault();
    body.current?.querySelectorAll<HTMLTableRowElement>("tr")[at]?.focus();
  };
  useKeys({ ArrowDown: reach, ArrowUp: reach });

  if (rows.length === 0) {
    return filtered ? (
      <Empty
        title={t("list.none")}
        hint={t("list.none_hint")}
        action={<Button onClick={onClear}>{t("list.clear")}</Button>}
      />
    ) : (
      <Empty title={t("list.empty")} hint={t("list.empty_hint")} />
    );
  }
  return (
    <div className={css.listBox} onPointerEnter={() => setOver(true)} onPointerLeave={() => setOver(false)}>
      {arrived > 0 && (
        <button type="button" className={css.arrived} onClick={() => setShown(incoming)}>
          {t("list.arrived", { count: arrived })}
        </button>
      )}
      <table className={`${css.table} ${css.cards}`} onKeyDown={press}>
        <thead>
          <tr>
            <th scope="col">{t("column.state")}</th>
            <th scope="col">{t("column.patient")}</th>
            <th scope="col">{t("column.item")}</th>
            <th scope="col" className={css.wide}>
              {t("column.accession")}
            </th>
            <th scope="col" className={`${css.right} ${css.wide}`}>
              {t("column.images")}
            </th>
            <th scope="col" className={css.wide}>
              {t("column.imaged_at")}
            </th>
            <th scope="col" className={css.right}>
              {t("column.waiting")}
            </th>
            <th scope="col">{t("column.locked_by")}</th>
          </tr>
        </thead>
        <tbody ref={body}>
          {rows.map((row, index) => (
            <Row
              key={row.order_id}
              row={row}
              language={i18n.language}
              selected={row.order_id === selected}
              tabbable={selected === null ? index === 0 : row.order_id === selected}
              onFocus={() => setSelected(row.order_id)}
              onOpen={() => open(row)}
            />
          ))}
        </tbody>
      </table>
      {more && (
        <div className={css.more}>
          <Button onClick={onMore} loading={loadingMore}>
            {t("common:load_more")}
          </Button>
        </div>
      )}
    </div>
  );
}

interface RowProps {
  row: ReadingRow;
  language: string;
  selected: boolean;
  tabbable: boolean;
  onFocus: () => void;
  onOpen: () => void;
}

function Row({ row, language, selected, tabbable, onFocus, onOpen }: RowProps) {
  const { t } = useTranslation("reading");
  const waiting = waitingOf(row.waiting_minutes, row.priority);
  const open = !["audited", "delivered"].includes(row.state);
  return (
    <tr
      tabIndex={tabbable ? 0 : -1}
      className={selected ? `${css.row} ${css.rowSelected}` : css.row}
      data-priority={row.priority}
      aria-selected={selected}
      onFocus={onFocus}
      onClick={onOpen}
    >
      <td className={css.cardTags}>
        <span className={css.tags}>
          <CaseTag row={row} />
          <PriorityTag priority={row.priority} />
        </span>
      </td>
      <td className={css.cardHead}>
        <span className={css.name}>{row.patient.name}</span>{" "}
        <span className={css.dim}>
          {t(`common:sex.${row.patient.sex}`)} {ageText(t, row.age_text)}
        </span>
      </td>
      <td className={css.cardLine}>
        <span className={css.modality}>{row.modality}</span> {itemNamed(row, language)}
      </td>
      <td className={`${css.wide} mono`}>{row.accession}</td>
      <td className={`${css.right} ${css.wide} num`}>{row.images}</td>
      <td className={`${css.wide} num`}>{stamp(row.imaged_at)}</td>
      <td className={`${css.right} ${css.cardSide} num`}>
        {open && (
          <span className={waiting.late ? css.late : undefined}>
            {t(`waiting.${waiting.unit}`, { count: waiting.count })}
            {waiting.late && <span className="visually-hidden">{t("waiting.late")}</span>}
          </span>
        )}
      </td>
      <td className={css.cardEnd}>
        {row.locked_by !== null && (
          <span className={css.locked}>
            <LockOutlined aria-hidden /> {row.locked_by}
          </span>
        )}
      </td>
    </tr>
  );
}

/** The report's stage once there is one; before that, what the exam waits for. */
function CaseTag({ row }: { row: ReadingRow }) {
  const stages: readonly string[] = ["trainee", "initial", "rejected", "final"];
  if (row.report_stage !== null && stages.includes(row.report_stage)) {
    return <StageTag stage={row.report_stage as ReportStage} />;
  }
  return <ExamTag state={row.state as ExamState} />;
}

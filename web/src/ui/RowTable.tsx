import { Button } from "antd";
import { useId, useState, type KeyboardEvent, type ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { isIdle, useKeys } from "@/lib/useKeys";
import { Failure } from "./Failure";
import css from "./RowTable.module.css";

export interface Column<T> {
  key: string;
  title: ReactNode;
  render: (row: T) => ReactNode;
  width?: number | string;
  align?: "left" | "right" | "center";
  /** Left out on narrow screens. */
  wide?: boolean;
  /** Numbers, times and codes line up. */
  numeric?: boolean;
}

interface RowTableProps<T> {
  label: string;
  columns: readonly Column<T>[];
  rows: readonly T[] | undefined;
  rowKey: (row: T) => string;
  error?: unknown;
  onRetry?: () => void;
  empty: ReactNode;
  onOpen?: (row: T) => void;
  selected?: string | null;
  /** A mark at the row's left edge, for emergencies. */
  mark?: (row: T) => "emergency" | "warn" | undefined;
  more?: { has: boolean; loading: boolean; load: () => void };
  /** The page's main list: up and down reach it wherever the focus is. */
  main?: boolean;
  /** Extra keys while a row has the focus. */
  onRowKey?: (event: KeyboardEvent, row: T) => void;
}

/**
 * Rows of 32 px which the keyboard walks: one tab stop for the list, arrows, Home and End between rows,
 * Enter to open. Loading shows the shape of what comes; failing keeps the rows that were there.
 */
export function RowTable<T>(props: RowTableProps<T>) {
  const { label, columns, rows, rowKey, error, onRetry, empty, onOpen, selected, mark, more, onRowKey, main = false } = props;
  const { t } = useTranslation("common");
  const id = useId();
  const [focused, setFocused] = useState<string | null>(null);
  const keys = rows?.map(rowKey) ?? [];
  const stop = focused !== null && keys.includes(focused) ? focused : (selected ?? keys[0] ?? null);

  const focusRow = (key: string | undefined) => {
    if (key === undefined) return;
    setFocused(key);
    document.getElementById(`${id}-${key}`)?.focus();
  };
  useKeys({ ArrowDown: (event) => reach(event), ArrowUp: (event) => reach(event) }, main);
  const reach = (event: globalThis.KeyboardEvent) => {
    if (event.defaultPrevented || stop === null || !isIdle(event.target)) return;
    event.preventDefault();
    focusRow(stop);
  };
  const onKeyDown = (event: KeyboardEvent<HTMLTableRowElement>, row: T) => {
    if (event.target !== event.currentTarget) return;
    const at = keys.indexOf(rowKey(row));
    // With Alt the arrows are the page's: they may move the row itself.
    if (event.altKey) return onRowKey?.(event, row);
    if (event.key === "ArrowDown") focusRow(keys[at + 1]);
    else if (event.key === "ArrowUp") focusRow(keys[at - 1]);
    else if (event.key === "Home") focusRow(keys[0]);
    else if (event.key === "End") focusRow(keys[keys.length - 1]);
    else if (event.key === "Enter" && onOpen) onOpen(row);
    else {
      onRowKey?.(event, row);
      return;
    }
    event.preventDefault();
  };

  const cell = (column: Column<T>) =>
    [column.wide ? css.wide : "", column.numeric ? css.numeric : "", column.align === "right" ? css.right : "", column.align === "center" ? css.center : ""]
      .filter(Boolean)
      .join(" ");

  if (rows === undefined && error) return <Failure error={error} {...(onRetry ? { onRetry } : {})} />;
  return (
    <div className={css.scroll} aria-busy={rows === undefined}>
      {error ? <Failure error={error} compact {...(onRetry ? { onRetry } : {})} /> : null}
      <table className={css.table} aria-label={label}>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.key} scope="col" className={cell(column)} style={column.width === undefined ? undefined : { width: column.width }}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows === undefined
            ? Array.from({ length: 8 }, (_, index) => (
                <tr key={index} className={css.ghost} aria-hidden>
                  {columns.map((column) => (
                    <td key={column.key} className={cell(column)}>
                      <span className={css.bone} />
                    </td>
                  ))}
                </tr>
              ))
            : rows.map((row) => {
                const key = rowKey(row);
                const marked = mark?.(row);
                return (
                  <tr
                    key={key}
                    id={`${id}-${key}`}
                    className={[css.row, onOpen ? css.opens : "", key === selected ? css.selected : "", marked ? css[marked] : ""].filter(Boolean).join(" ")}
                    tabIndex={key === stop ? 0 : -1}
                    aria-selected={selected === undefined ? undefined : key === selected}
                    onFocus={() => setFocused(key)}
                    onKeyDown={(event) => onKeyDown(event, row)}
                    onClick={onOpen ? () => onOpen(row) : undefined}
                  >
                    {columns.map((column) => (
                      <td key={column.key} className={cell(column)}>
                        {column.render(row)}
                      </td>
                    ))}
                  </tr>
                );
              })}
        </tbody>
      </table>
      {rows !== undefined && rows.length === 0 && empty}
      {more?.has && (
        <div className={css.more}>
          <Button type="text" loading={more.loading} onClick={more.load}>
            {t("load_more")}
          </Button>
        </div>
      )}
    </div>
  );
}

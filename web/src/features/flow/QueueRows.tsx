import type { KeyboardEvent, ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useRoomNames } from "@/api/names";
import type { QueueEntry } from "@/api/types";
import { itemNamed } from "@/lib/i18n";
import { minutesSince } from "@/lib/time";
import { useNow } from "@/lib/useNow";
import { PersonLine } from "@/ui/PersonLine";
import { RowTable, type Column } from "@/ui/RowTable";
import { PriorityTag, QueueTag, SpecialTags } from "@/ui/Tags";

interface QueueRowsProps {
  entries: readonly QueueEntry[] | undefined;
  error?: unknown;
  onRetry?: () => void;
  empty: ReactNode;
  withRoom?: boolean;
  /** Only ticket, name and state, for the side of the exam room. */
  slim?: boolean;
  /** The page's main list: the arrows reach it from anywhere. */
  main?: boolean;
  selected?: string | null;
  onOpen?: (entry: QueueEntry) => void;
  onRowKey?: (event: KeyboardEvent, entry: QueueEntry) => void;
  actions?: (entry: QueueEntry) => ReactNode;
}

export function QueueRows({ entries, withRoom = false, slim = false, actions, ...rest }: QueueRowsProps) {
  const { t, i18n } = useTranslation("flow");
  const now = useNow();
  const { room } = useRoomNames();
  const columns: Column<QueueEntry>[] = [
    { key: "ticket", title: t("column.ticket"), numeric: true, width: 64, render: (entry) => <strong>{entry.ticket}</strong> },
    {
      key: "patient",
      title: t("column.patient"),
      render: (entry) =>
        slim ? (
          <>
            <PersonLine patient={entry.patient} dense /> <PriorityTag priority={entry.priority} />
          </>
        ) : (
          <PersonLine patient={entry.patient} dense />
        ),
    },
    ...(slim
      ? []
      : [
          {
            key: "item",
            title: t("column.item"),
            wide: true,
            render: (entry: QueueEntry) => (
              <>
                {itemNamed(entry, i18n.language)} <PriorityTag priority={entry.priority} /> <SpecialTags special={entry.special} />
              </>
            ),
          },
        ]),
    ...(withRoom ? [{ key: "room", title: t("column.room"), width: 168, wide: true, render: (entry: QueueEntry) => room(entry.room_id, entry.room_name) }] : []),
    { key: "state", title: t("column.state"), width: 96, render: (entry) => <QueueTag state={entry.state} /> },
    {
      key: "waited",
      title: t("column.waited"),
      numeric: true,
      align: "right",
      width: 72,
      wide: !slim,
      render: (entry) => (entry.state === "done" || entry.state === "left" ? "–" : t("minutes", { count: minutesSince(entry.arrived_at, now) })),
    },
    ...(actions ? [{ key: "actions", title: <span className="visually-hidden">{t("column.actions")}</span>, align: "right" as const, render: actions }] : []),
  ];
  return (
    <RowTable
      {...rest}
      label={t("list")}
      columns={columns}
      rows={entries}
      rowKey={(entry) => entry.id}
      mark={(entry) => (entry.priority === "emergency" ? "emergency" : entry.special.length > 0 ? "warn" : undefined)}
    />
  );
}

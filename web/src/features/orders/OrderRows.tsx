import type { KeyboardEvent, ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useRoomNames } from "@/api/names";
import type { Order } from "@/api/types";
import { stamp } from "@/lib/time";
import { PersonLine } from "@/ui/PersonLine";
import { RowTable, type Column } from "@/ui/RowTable";
import { ExamTag, PriorityTag, SpecialTags } from "@/ui/Tags";
import { itemsText } from "@/lib/items";

interface OrderRowsProps {
  label: string;
  orders: readonly Order[] | undefined;
  error?: unknown;
  onRetry?: () => void;
  onOpen: (order: Order) => void;
  empty: ReactNode;
  more?: { has: boolean; loading: boolean; load: () => void };
  onRowKey?: (event: KeyboardEvent, order: Order) => void;
  /** The page's main list: the arrows reach it from anywhere. */
  main?: boolean;
  /** The patient's own page does not repeat the name on each row. */
  withPatient?: boolean;
}

export function OrderRows({ label, orders, onOpen, empty, withPatient = true, ...rest }: OrderRowsProps) {
  const { t, i18n } = useTranslation("orders");
  const { roomOf } = useRoomNames();
  const columns: Column<Order>[] = [
    { key: "accession", title: t("column.accession"), numeric: true, width: 120, render: (order) => <span className="mono">{order.accession}</span>, wide: withPatient },
    ...(withPatient ? [{ key: "patient", title: t("column.patient"), render: (order: Order) => <PersonLine patient={order.patient} dense /> }] : []),
    {
      key: "items",
      title: t("column.items"),
      render: (order) => (
        <>
          {itemsText(order, i18n.language, t)} <PriorityTag priority={order.priority} /> <SpecialTags special={order.special} />
        </>
      ),
    },
    { key: "state", title: t("column.state"), width: 104, render: (order) => <ExamTag state={order.state} /> },
    {
      key: "when",
      title: t("column.when"),
      numeric: true,
      width: 128,
      wide: true,
      render: (order) => (order.appointment ? stamp(order.appointment.start) : "–"),
    },
    { key: "where", title: t("column.where"), width: 168, wide: true, render: (order) => (order.appointment ? roomOf(order.appointment.device_id, order.appointment.room_name) : "–") },
    { key: "ticket", title: t("column.ticket"), numeric: true, width: 72, render: (order) => (order.ticket ? <strong>{order.ticket}</strong> : "–") },
    { key: "visit", title: t("column.visit"), width: 72, wide: true, render: (order) => t(`common:visit.${order.visit_class}`) },
    { key: "created", title: t("column.created"), numeric: true, width: 96, wide: true, render: (order) => stamp(order.created_at) },
  ];
  return (
    <RowTable
      {...rest}
      label={label}
      columns={columns}
      rows={orders}
      rowKey={(order) => order.id}
      onOpen={onOpen}
      empty={empty}
      mark={(order) => (order.priority === "emergency" ? "emergency" : undefined)}
    />
  );
}

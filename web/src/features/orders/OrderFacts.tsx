import { useTranslation } from "react-i18next";
import type { Order } from "@/api/types";
import { stamp } from "@/lib/time";
import { Facts } from "@/ui/Facts";
import { ExamTag, PriorityTag, SpecialTags } from "@/ui/Tags";
import { itemsText } from "@/lib/items";
import css from "./Orders.module.css";

export function OrderFacts({ order }: { order: Order }) {
  const { t, i18n } = useTranslation("orders");
  return (
    <Facts
      columns={2}
      facts={[
        [t("column.items"), itemsText(order, i18n.language, t)],
        [t("column.state"), <ExamTag key="state" state={order.state} />],
        [t("column.accession"), <span key="accession" className="mono">{order.accession}</span>],
        [t("field.priority"), <PriorityTag key="priority" priority={order.priority} always />],
        [t("field.department"), order.department],
        [t("column.visit"), t(`common:visit.${order.visit_class}`)],
        [t("field.physician"), order.physician],
        [t("field.source"), t(`source.${order.source}`)],
        [t("field.diagnosis"), order.diagnosis],
        [t("field.placer"), order.placer_number ? <span key="placer" className="mono">{order.placer_number}</span> : null],
        [t("field.history"), order.history],
        [t("column.created"), <span key="created" className="num">{stamp(order.created_at)}</span>],
        ...(order.findings.length > 0
          ? [[t("field.findings"), <span key="findings" className={css.fault}>{order.findings.map((finding) => t(`finding.${finding}`, { defaultValue: finding })).join(t("app:comma"))}</span>] as const, ["", " "] as const]
          : []),
        ...(order.reason !== "" ? [[t("field.reason"), order.reason] as const, [t("field.images"), <span key="images" className="num">{order.images}</span>] as const] : []),
        [t("field.purpose"), order.purpose],
        [t("field.special"), order.special.length > 0 ? <SpecialTags key="special" special={order.special} /> : null],
      ]}
    />
  );
}

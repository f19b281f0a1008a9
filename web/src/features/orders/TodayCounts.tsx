import { useTranslation } from "react-i18next";
import type { Order } from "@/api/types";
import css from "./Orders.module.css";
import { countsOf, type Count } from "./counts";

const shown: readonly Count[] = ["registered", "arrived", "examined", "completed"];

/** How the day stands. `more` says that the list is longer than what was counted. */
export function TodayCounts({ orders, more }: { orders: readonly Order[] | undefined; more: boolean }) {
  const { t } = useTranslation("orders");
  const counts = countsOf(orders ?? []);
  return (
    <dl className={css.counts} aria-label={t("counts.title")}>
      {shown.map((count) => (
        <div key={count} className={css.count}>
          <dt>{t(`counts.${count}`)}</dt>
          <dd className="num">{orders === undefined ? "–" : `${counts[count]}${more ? "+" : ""}`}</dd>
        </div>
      ))}
    </dl>
  );
}

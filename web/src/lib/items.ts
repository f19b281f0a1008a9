import type { Order, OrderItem } from "@/api/types";

type Translate = (key: string) => string;

/** `左膝关节DR` with its side in front, joined for lists. */
export function itemsText(order: Pick<Order, "items">, language: string, t: Translate): string {
  const one = (item: OrderItem) => {
    const name = language === "en-US" && item.name_en ? item.name_en : item.name;
    return item.side === null ? name : `${name} (${t(`common:side.${item.side}`)})`;
  };
  return order.items.map(one).join(language === "en-US" ? ", " : "、");
}

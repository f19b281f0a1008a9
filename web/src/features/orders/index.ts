export { OrderForm } from "./OrderForm";
export { OrderFacts } from "./OrderFacts";
export { OrderRows } from "./OrderRows";
export { TodayCounts } from "./TodayCounts";
export { orderQuery, ordersQuery, type OrderFilter } from "./queries";
export { stepsFor, type OrderStep } from "./steps";

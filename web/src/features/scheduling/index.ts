export { BookingBoard } from "./BookingBoard";
export { DayCalendar } from "./DayCalendar";

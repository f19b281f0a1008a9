export { ArriveForm } from "./ArriveForm";
export { QueuePage } from "./QueuePage";
export { QueueRows } from "./QueueRows";
export { RoomPicker, useRoom } from "./RoomPicker";
export { useQueue, useQueueActs, type QueueActs } from "./acts";
export { currentOf, inOrder } from "./order";

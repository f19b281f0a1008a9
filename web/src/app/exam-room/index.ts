export { ExamRoomPage } from "./ExamRoomPage";

/** Where viewer and report editor meet: features know nothing of each other, this page knows both. */
export { UnmatchedPage } from "./UnmatchedRoute";
export { ReadingRoomPage } from "./ReadingRoomPage";
export { StudyViewerPage } from "./StudyViewerPage";
export { ViewerBenchPage } from "./ViewerBenchPage";

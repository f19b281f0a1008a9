export { ReadingListPage } from "./ReadingListPage";
export { UnmatchedPage } from "./UnmatchedPage";
export { readingQuery, worklistQuery } from "./api";

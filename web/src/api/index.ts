export { api, path, url, API } from "./client";
export { Problem, asProblem, problemText } from "./problem";
export { useLive, useLiveState, listen } from "./live";
export { sessionQuery, directoryQuery, useSession, useDirectory, useMay } from "./session";
export type * from "./types";

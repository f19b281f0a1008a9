import { useEffect, useState, useSyncExternalStore } from "react";
import type { Store } from "./store";
import { ViewerSession } from "./ViewerSession";
import { measurements, subscribeMeasurements, type Measurement } from "../cornerstone/measurements";

export function useStore<T>(store: Store<T>): T {
  return useSyncExternalStore(store.subscribe, store.getState);
}

/** A viewer for the life of the component; null until the browser has laid the page out. */
export function useViewerSession(): ViewerSession | null {
  const [session, setSession] = useState<ViewerSession | null>(null);
  useEffect(() => {
    const made = new ViewerSession(`mingying-${crypto.randomUUID()}`);
    setSession(made);
    return () => {
      setSession(null);
      // Viewports detach in the same pass; the engine goes when they are gone.
      queueMicrotask(() => made.dispose());
    };
  }, []);
  return session;
}

/** Measurements of one study, as they are drawn and changed. */
export function useMeasurements(studyUids: readonly string[]): Measurement[] {
  const all = useSyncExternalStore(subscribeMeasurements, measurements);
  return all.filter((entry) => studyUids.includes(entry.studyUid));
}

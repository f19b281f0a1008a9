import { useEffect } from "react";
import type { SeriesRef, ViewerSession } from "@/viewer";

/** A series that was deleted leaves the screen at once: the first one that is left takes its place. */
export function useDropped(session: ViewerSession | null, studyUids: readonly string[], series: readonly SeriesRef[]): void {
  const there = series.map(({ seriesUid }) => seriesUid).join(" ");
  const studies = studyUids.join(" ");
  useEffect(() => {
    const first = series[0];
    if (session === null || first === undefined) return;
    session.state.panes.forEach(({ ref }, at) => {
      if (ref !== null && studies.split(" ").includes(ref.studyUid) && !there.split(" ").includes(ref.seriesUid)) {
        void session.show(at, first);
      }
    });
    // Only what is there decides, not the identity of the list.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [session, studies, there]);
}

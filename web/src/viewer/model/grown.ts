import type { SeriesRef } from "../session/ViewerSession";

/** The series as it is now, when it has more images than are shown; a part must not pass for all of it. */
export function grownOf(shown: SeriesRef | null, series: readonly SeriesRef[]): SeriesRef | null {
  const now = series.find((ref) => ref.seriesUid === shown?.seriesUid && ref.studyUid === shown.studyUid);
  return now !== undefined && shown !== null && now.images > shown.images ? now : null;
}

import type { Types } from "@cornerstonejs/core";
import type { FrameRef, Manifest } from "../fastlane/manifest";
import type { SeriesFrames } from "../fastlane/seriesFrames";

/** One series that is open in the page: its frames, and what Cornerstone asks about them. */
export interface OpenSeries {
  readonly key: string;
  readonly studyUid: string;
  readonly seriesUid: string;
  readonly modality: string;
  readonly manifest: Manifest;
  readonly refs: readonly FrameRef[];
  readonly imageIds: readonly string[];
  readonly frames: SeriesFrames<Types.IImage>;
  /** Viewports that show it; one without any may be closed to make room. */
  holders: number;
  lastUsed: number;
}

export const SCHEME = "mingying";

/** UIDs hold digits and dots only, so `/` parts the pieces without doubt. */
export function imageIdOf(key: string, index: number): string {
  return `${SCHEME}:${key}/${index}`;
}

export function seriesKey(studyUid: string, seriesUid: string): string {
  return `${studyUid}/${seriesUid}`;
}

const open = new Map<string, OpenSeries>();

export function addSeries(series: OpenSeries): void {
  open.set(series.key, series);
}

export function removeSeries(key: string): void {
  open.delete(key);
}

export function openSeriesByKey(key: string): OpenSeries | undefined {
  return open.get(key);
}

export function allSeries(): OpenSeries[] {
  return [...open.values()];
}

export function findFrame(imageId: string): { series: OpenSeries; ref: FrameRef } | null {
  if (!imageId.startsWith(`${SCHEME}:`)) return null;
  const slash = imageId.lastIndexOf("/");
  const series = open.get(imageId.slice(SCHEME.length + 1, slash));
  const ref = series?.refs[Number(imageId.slice(slash + 1))];
  return series === undefined || ref === undefined ? null : { series, ref };
}

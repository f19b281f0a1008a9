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
  /** The place of a frame in `refs`. */
  readonly indexOf: (sopUid: string, frame: number) => number | undefined;
  /** Images that the series was known to have when it was opened; it may have grown since. */
  readonly images: number;
  readonly frames: SeriesFrames<Types.IImage>;
  /** Viewports that show it; one without any may be closed to make room. */
  holders: number;
  lastUsed: number;
}

export const SCHEME = "mingying";

/**
 * Names a frame by its instance: an image that arrives later moves the places of the others, and what is drawn on a
 * picture must stay on it. UIDs hold digits and dots only, so `/` parts the pieces without doubt.
 */
export function imageIdOf(key: string, sopUid: string, frame: number): string {
  return `${SCHEME}:${key}/${sopUid}/${frame}`;
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
  const [studyUid = "", seriesUid = "", sopUid = "", frame = ""] = imageId.slice(SCHEME.length + 1).split("/");
  const series = open.get(seriesKey(studyUid, seriesUid));
  const ref = series?.refs[series.indexOf(sopUid, Number(frame)) ?? -1];
  return series === undefined || ref === undefined ? null : { series, ref };
}

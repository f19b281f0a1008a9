import { eventTarget } from "@cornerstonejs/core";
import { annotation, Enums, type Types } from "@cornerstonejs/tools";
import { findFrame } from "./registry";
import { MEASURING, toolOf, type RoiStats, type ToolName } from "./tools";

/** One measurement as the report and the list see it: numbers with units, and where it is. */
export interface Measurement {
  readonly uid: string;
  readonly tool: ToolName;
  readonly studyUid: string;
  readonly seriesUid: string;
  /** Position in the series, from 0. */
  readonly index: number;
  readonly sopUid: string;
  readonly length?: { value: number; unit: string };
  readonly angle?: number;
  readonly area?: { value: number; unit: string };
  readonly value?: { mean: number; deviation?: number; unit: string };
  readonly selected: boolean;
}

/** Statistics are absent, null or NaN until they have been computed, or when they cannot be. */
type Stats = { [Field in keyof RoiStats]?: RoiStats[Field] | null } & {
  length?: number | null;
  unit?: string | null;
  angle?: number | null;
  value?: number | number[] | null;
};

function finite(value: number | null | undefined): value is number {
  return typeof value === "number" && Number.isFinite(value);
}

function read(entry: Types.Annotation): Measurement | null {
  const tool = toolOf(entry.metadata?.toolName ?? "");
  const imageId = entry.metadata?.referencedImageId;
  const uid = entry.annotationUID;
  if (tool === null || !MEASURING.includes(tool) || imageId === undefined || uid === undefined) return null;
  const place = placeOf(imageId);
  if (place === null) return null;
  const caches = (entry.data as { cachedStats?: Record<string, Stats> } | undefined)?.cachedStats;
  const stats: Stats = (caches === undefined ? undefined : Object.values(caches)[0]) ?? {};
  const unit = stats.modalityUnit === "raw" ? "" : (stats.modalityUnit ?? "");
  const one = Array.isArray(stats.value) ? stats.value[0] : stats.value;
  const mean = tool === "probe" ? one : stats.mean;
  return {
    uid,
    tool,
    ...place,
    selected: annotation.selection.isAnnotationSelected(uid),
    ...(finite(stats.length) ? { length: { value: stats.length, unit: stats.unit ?? "px" } } : {}),
    ...(finite(stats.angle) ? { angle: stats.angle } : {}),
    ...(finite(stats.area) ? { area: { value: stats.area, unit: stats.areaUnit ?? "px²" } } : {}),
    ...(finite(mean) ? { value: { mean, unit, ...(finite(stats.stdDev) ? { deviation: stats.stdDev } : {}) } } : {}),
  };
}

type Place = Pick<Measurement, "studyUid" | "seriesUid" | "index" | "sopUid">;

/** Measurements outlive the images in memory: their last place is remembered. */
const places = new Map<string, Place>();

function placeOf(imageId: string): Place | null {
  const found = findFrame(imageId);
  if (found === null) return places.get(imageId) ?? null;
  const place: Place = {
    studyUid: found.series.studyUid,
    seriesUid: found.series.seriesUid,
    index: found.ref.index,
    sopUid: found.ref.instance.sop_uid,
  };
  places.set(imageId, place);
  return place;
}

let cached: Measurement[] | null = null;

/** Every measurement of the page, in the order in which they were made. */
export function measurements(): Measurement[] {
  cached ??= annotation.state
    .getAllAnnotations()
    .map(read)
    .filter((entry) => entry !== null);
  return cached;
}

export function removeMeasurement(uid: string): void {
  annotation.state.removeAnnotation(uid);
}

/** Removes what is selected, or else the newest of the given picture's. */
export function removeSelected(): boolean {
  const selected = annotation.selection.getAnnotationsSelected();
  for (const uid of selected) annotation.state.removeAnnotation(uid);
  return selected.length > 0;
}

export function selectMeasurement(uid: string): void {
  annotation.selection.setAnnotationSelected(uid, true, false);
}

const { Events } = Enums;
const TOPICS = [
  Events.ANNOTATION_ADDED,
  Events.ANNOTATION_COMPLETED,
  Events.ANNOTATION_MODIFIED,
  Events.ANNOTATION_REMOVED,
  Events.ANNOTATION_SELECTION_CHANGE,
];

/** Drags fire an event for every move; listeners hear of them once a frame. */
export function subscribeMeasurements(listener: () => void): () => void {
  let scheduled = 0;
  const tell = (): void => {
    cached = null;
    if (scheduled !== 0) return;
    scheduled = requestAnimationFrame(() => {
      scheduled = 0;
      cached = null;
      listener();
    });
  };
  cached = null;
  for (const topic of TOPICS) eventTarget.addEventListener(topic, tell);
  return () => {
    if (scheduled !== 0) cancelAnimationFrame(scheduled);
    for (const topic of TOPICS) eventTarget.removeEventListener(topic, tell);
  };
}

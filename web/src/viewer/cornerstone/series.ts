import type { Types } from "@cornerstonejs/core";
import { cache } from "@cornerstonejs/core";
import { streamByFrame } from "../fastlane/byFrame";
import { forgetManifests, manifestOf } from "../fastlane/manifests";
import { frameBytes, indexOfFrames, isNative, listFrames, maxFrameBytes, type Manifest } from "../fastlane/manifest";
import { FrameFetchError, SeriesFrames } from "../fastlane/seriesFrames";
import { fetchFrame, fetchPixels } from "../fastlane/request";
import { decodeFrame } from "./image";
import { forget } from "./loader";
import { addSeries, allSeries, imageIdOf, openSeriesByKey, removeSeries, seriesKey, type OpenSeries } from "./registry";
import { drawsOnCpu } from "./setup";

const opening = new Map<string, Promise<OpenSeries>>();

/** A series, and how many images it is known to have. */
export interface WantedSeries {
  readonly studyUid: string;
  readonly seriesUid: string;
  readonly modality: string;
  readonly images: number;
}

/**
 * Opens a series or joins the one that is open. Every call takes hold of it until
 * `releaseSeries`; images of series that nobody holds go first when memory is short.
 * One that has grown since is opened anew, unless somebody looks at it.
 */
export async function holdSeries(wanted: WantedSeries): Promise<OpenSeries> {
  const known = openSeriesByKey(seriesKey(wanted.studyUid, wanted.seriesUid));
  const grown = known !== undefined && known.holders === 0 && known.images < wanted.images;
  if (grown) close(known);
  const series = known === undefined || grown ? await openOnce(wanted) : known;
  series.holders += 1;
  series.lastUsed = performance.now();
  return series;
}

export function releaseSeries(series: OpenSeries): void {
  series.holders = Math.max(0, series.holders - 1);
  series.lastUsed = performance.now();
  if (series.holders === 0) series.frames.pause();
}

/** Forgets every image of the page: on leaving the reading room or at sign-out. */
export function closeAllSeries(): void {
  for (const series of allSeries()) close(series);
  forgetManifests();
}

/** So many streams in a row that broke are not chance: something between here and the server cuts long answers. */
const BROKEN_STREAMS = 2;

function openOnce(wanted: WantedSeries): Promise<OpenSeries> {
  const key = seriesKey(wanted.studyUid, wanted.seriesUid);
  const pending = opening.get(key);
  if (pending !== undefined) return pending;
  const promise = openNew(key, wanted).finally(() => opening.delete(key));
  opening.set(key, promise);
  return promise;
}

async function openNew(key: string, { studyUid, seriesUid, modality, images }: WantedSeries): Promise<OpenSeries> {
  const manifest = await manifestOf(studyUid, seriesUid, images);
  const refs = listFrames(manifest);
  if (refs.length === 0) throw new FrameFetchError("viewer.no_frames", true);
  const imageIds = refs.map((ref) => imageIdOf(key, ref.instance.sop_uid, ref.frame));
  const indexOf = indexOfFrames(refs);
  const rgba = drawsOnCpu();
  let byFrame = false;
  const frames = new SeriesFrames<Types.IImage>(
    {
      open: (start, signal, failures) => {
        byFrame ||= failures >= BROKEN_STREAMS;
        if (!byFrame) return fetchPixels(studyUid, seriesUid, start, signal);
        const wanted = refs.map((ref) => ({
          sopUid: ref.instance.sop_uid,
          frame: ref.frame,
          transferSyntax: ref.transferSyntax,
        }));
        const stream = streamByFrame(wanted, start, signal, ({ sopUid, frame, transferSyntax }, abort) =>
          fetchFrame(studyUid, seriesUid, sopUid, frame, transferSyntax, abort),
        );
        return Promise.resolve(stream);
      },
      decode: (index, bytes, transferSyntax) => {
        const ref = refs[index];
        const imageId = imageIds[index];
        if (ref === undefined || imageId === undefined) throw new FrameFetchError("viewer.stream_index", true);
        return decodeFrame({ imageId, studyUid, seriesUid, modality, ref, transferSyntax, rgba }, bytes);
      },
      size: (image) => image.sizeInBytes,
      dropped: (index) => {
        const imageId = imageIds[index];
        if (imageId !== undefined) forget(imageId);
      },
    },
    {
      limits: { frames: refs.length, maxFrameBytes: maxFrameBytes(manifest), indexOf },
      capacity: capacityOf(manifest),
      parallelDecodes: 8,
    },
  );
  const series: OpenSeries = {
    key,
    studyUid,
    seriesUid,
    modality,
    manifest,
    refs,
    imageIds,
    indexOf,
    images: Math.max(images, manifest.instances.length),
    frames,
    holders: 0,
    lastUsed: performance.now(),
  };
  makeRoom(series);
  addSeries(series);
  return series;
}

function decodedBytes(manifest: Manifest): number {
  let largest = 1;
  for (const instance of manifest.instances) {
    const pixels = instance.rows * instance.columns;
    const grey = isNative(instance.transfer_syntax) ? frameBytes(instance) : pixels * 2;
    largest = Math.max(largest, instance.samples > 1 ? pixels * 4 : grey);
  }
  return largest;
}

/** No single series may take more than half of the budget: a prior needs room beside it. */
function capacityOf(manifest: Manifest): number {
  return Math.max(8, Math.floor(cache.getMaxCacheSize() / 2 / decodedBytes(manifest)));
}

/** Shown series may fill up to their capacity; the others count for what they hold. */
function makeRoom(next: OpenSeries): void {
  const budget = cache.getMaxCacheSize();
  const full = (series: OpenSeries): number =>
    Math.min(series.refs.length, capacityOf(series.manifest)) * decodedBytes(series.manifest);
  const held = (series: OpenSeries): number => series.frames.progress().loaded * decodedBytes(series.manifest);
  const idle = allSeries()
    .filter((series) => series.holders === 0)
    .sort((a, b) => a.lastUsed - b.lastUsed);
  let total = full(next);
  for (const series of allSeries()) total += series.holders > 0 ? full(series) : held(series);
  for (const series of idle) {
    if (total <= budget) return;
    total -= held(series);
    close(series);
  }
}

function close(series: OpenSeries): void {
  removeSeries(series.key);
  series.frames.dispose();
}

import type { Types } from "@cornerstonejs/core";
import { fetchFrame } from "../fastlane/request";
import { decodeFrame } from "./image";
import { holdSeries, releaseSeries, type WantedSeries } from "./series";
import { drawsOnCpu, setUpCornerstone } from "./setup";
import { seriesKey, type OpenSeries } from "./registry";

const SIZE = 112;
const PARALLEL = 2;

const done = new Map<string, Promise<string | null>>();
const queue: (() => Promise<void>)[] = [];
let running = 0;

/** A small picture of the middle of a series, as a data URL; null when it cannot be drawn. */
export function thumbnail(wanted: WantedSeries): Promise<string | null> {
  const key = seriesKey(wanted.studyUid, wanted.seriesUid);
  const known = done.get(key);
  if (known !== undefined) return known;
  const promise = new Promise<string | null>((resolve) => {
    queue.push(async () => {
      try {
        resolve(await make(wanted));
      } catch {
        // A picture that cannot be made leaves the caption; the viewport reports the reason.
        done.delete(key);
        resolve(null);
      }
    });
  });
  done.set(key, promise);
  pump();
  return promise;
}

/** Thumbnails show a patient: they go when the page is left. */
export function forgetThumbnails(): void {
  done.clear();
  queue.length = 0;
}

function pump(): void {
  while (running < PARALLEL) {
    const job = queue.shift();
    if (job === undefined) return;
    running += 1;
    void job().finally(() => {
      running -= 1;
      pump();
    });
  }
}

async function make(wanted: WantedSeries): Promise<string | null> {
  setUpCornerstone();
  const series = await holdSeries(wanted);
  try {
    const middle = Math.floor(series.refs.length / 2);
    const image = series.frames.peek(middle) ?? (await oneFrame(series, middle));
    return image === null ? null : draw(image);
  } finally {
    releaseSeries(series);
  }
}

async function oneFrame(series: OpenSeries, index: number): Promise<Types.IImage | null> {
  const { studyUid, seriesUid, modality } = series;
  const ref = series.refs[index];
  const imageId = series.imageIds[index];
  if (ref === undefined || imageId === undefined) return null;
  const { transferSyntax, bytes } = await fetchFrame(studyUid, seriesUid, ref.instance.sop_uid, ref.frame, ref.transferSyntax);
  return decodeFrame({ imageId, studyUid, seriesUid, modality, ref, transferSyntax, rgba: drawsOnCpu() }, bytes);
}

function draw(image: Types.IImage): string | null {
  const scale = Math.min(SIZE / image.columns, SIZE / image.rows);
  const width = Math.max(1, Math.round(image.columns * scale));
  const height = Math.max(1, Math.round(image.rows * scale));
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (context === null) return null;
  const picture = context.createImageData(width, height);
  const pixels = image.getPixelData();
  const step = image.numberOfComponents;
  const center = first(image.windowCenter);
  const span = Math.max(1, first(image.windowWidth));
  const low = center - span / 2;
  for (let y = 0; y < height; y += 1) {
    const row = Math.min(image.rows - 1, Math.floor((y + 0.5) / scale)) * image.columns;
    for (let x = 0; x < width; x += 1) {
      const from = (row + Math.min(image.columns - 1, Math.floor((x + 0.5) / scale))) * step;
      const to = (y * width + x) * 4;
      for (let channel = 0; channel < 3; channel += 1) {
        const value = pixels[from + (image.color ? channel : 0)] ?? 0;
        const grey = image.color ? value : ((value - low) / span) * 255;
        picture.data[to + channel] = image.invert && !image.color ? 255 - grey : grey;
      }
      picture.data[to + 3] = 255;
    }
  }
  context.putImageData(picture, 0, 0);
  return canvas.toDataURL("image/png");
}

function first(value: number | number[]): number {
  return Array.isArray(value) ? (value[0] ?? 0) : value;
}

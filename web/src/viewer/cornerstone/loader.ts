import { cache, imageLoader, type Types } from "@cornerstonejs/core";
import { FrameFetchError } from "../fastlane/seriesFrames";
import { findFrame, SCHEME } from "./registry";
import { registerMetadata } from "./metadata";

/** `mingying:{study}/{series}/{frame}`: the frames come from the series' own stream. */
function load(imageId: string): { promise: Promise<Types.IImage> } {
  const found = findFrame(imageId);
  if (found === null) {
    return { promise: Promise.reject(new FrameFetchError("viewer.series_closed", true)) };
  }
  return { promise: found.series.frames.image(found.ref.index) };
}

export function registerFrameLoader(): void {
  imageLoader.registerImageLoader(SCHEME, load as unknown as Types.ImageLoaderFn);
  registerMetadata();
}

/** An image that left the series' memory must leave Cornerstone's as well. */
export function forget(imageId: string): void {
  if (cache.getImageLoadObject(imageId) !== undefined) {
    cache.removeImageLoadObject(imageId, { force: true });
  }
}

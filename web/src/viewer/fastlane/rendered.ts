import { path } from "@/api";
import { get } from "./request";
import { FrameFetchError } from "./seriesFrames";

/**
 * One colour frame as the server draws it (PS3.18 8.7, `/rendered`), as RGBA values. For colour
 * spaces that the browser's decoders do not know: palettes, 16 bits a sample. Grey images never
 * come this way: their values would be lost.
 */
export async function fetchRendered(
  studyUid: string,
  seriesUid: string,
  sopUid: string,
  frame: number,
): Promise<{ rgba: Uint8ClampedArray; width: number; height: number }> {
  const address = `/dicom-web${path`/studies/${studyUid}/series/${seriesUid}/instances/${sopUid}`}/frames/${frame + 1}/rendered`;
  const response = await get(address, "image/png", null).catch((error: unknown) => {
    // Why the server cannot draw it says nothing to a reader; that the session ended or the network is gone does.
    const undrawn = error instanceof FrameFetchError && error.code.startsWith("render.");
    throw undrawn ? new FrameFetchError("viewer.undecodable", error.permanent, { cause: error }) : error;
  });
  const bitmap = await createImageBitmap(await response.blob(), { colorSpaceConversion: "none" });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (context === null) throw new FrameFetchError("viewer.undecodable", true);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { rgba: context.getImageData(0, 0, width, height).data, width, height };
}

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
  const address = `/dicom-web/studies/${studyUid}/series/${seriesUid}/instances/${sopUid}/frames/${frame + 1}/rendered`;
  let response: Response;
  try {
    response = await fetch(address, { credentials: "same-origin", headers: { accept: "image/png" } });
  } catch {
    throw new FrameFetchError("network.unreachable", false);
  }
  if (!response.ok) throw new FrameFetchError("viewer.undecodable", true);
  const bitmap = await createImageBitmap(await response.blob(), { colorSpaceConversion: "none" });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  if (context === null) throw new FrameFetchError("viewer.undecodable", true);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { rgba: context.getImageData(0, 0, width, height).data, width, height };
}

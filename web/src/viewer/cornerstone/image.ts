import { utilities, type Types } from "@cornerstonejs/core";
import { createImage } from "@cornerstonejs/dicom-image-loader";
import { isBigEndian, isHtj2k, isNative, type FrameRef, type ManifestInstance } from "../fastlane/manifest";
import { fetchRendered } from "../fastlane/rendered";
import { colourFromNative, greyFromNative, rescale, type Grey, type GreyPixels } from "../fastlane/pixels";
import { fetchFrame } from "../fastlane/request";
import { FrameFetchError } from "../fastlane/seriesFrames";

export interface DecodeContext {
  readonly imageId: string;
  readonly studyUid: string;
  readonly seriesUid: string;
  readonly modality: string;
  readonly ref: FrameRef;
  /** Of the bytes that came; the manifest's may be older. */
  readonly transferSyntax: string;
  readonly rgba: boolean;
}

/**
 * Native pixels become an image at once, on this thread: the work is one pass over the
 * values, less than what sending them to a worker costs. Compressed frames go to the
 * decoders' workers.
 */
export function decodeFrame(
  context: DecodeContext,
  bytes: Uint8Array<ArrayBuffer>,
): Types.IImage | Promise<Types.IImage> {
  const { instance } = context.ref;
  if (bytes.length === 0) {
    throw new FrameFetchError("viewer.frame_empty", true);
  }
  if (drawnByServer(context)) return renderedFrame(context);
  if (!isNative(context.transferSyntax)) {
    return decodeCompressed(context, bytes).catch((error: unknown) => {
      if (isColour(instance)) return renderedFrame(context);
      return storedFrame(context, error);
    });
  }
  if (isSwapped(context)) return unswappedFrame(context);
  return instance.samples > 1
    ? colourImage(context, colourFromNative(bytes, instance, context.rgba))
    : greyImage(context, greyFromNative(bytes, instance, isBigEndian(context.transferSyntax)));
}

function isColour(instance: ManifestInstance): boolean {
  return instance.samples > 1 || instance.photometric === "PALETTE COLOR";
}

const JPEG_BASELINE = "1.2.840.10008.1.2.4.50";

/**
 * The manifest carries no palettes, the decoders know 8 bits a colour sample only, in big endian
 * the order of colour bytes depends on a value representation that isn't told, and browsers take
 * every JPEG of three components for YCbCr, even when the header says RGB.
 */
function drawnByServer({ ref: { instance }, transferSyntax }: DecodeContext): boolean {
  if (instance.photometric === "PALETTE COLOR") return true;
  if (instance.samples === 1) return false;
  return (
    instance.bits_allocated > 8 ||
    isBigEndian(transferSyntax) ||
    // The sibling was made after the manifest, which says how the stored planes lie.
    (isHtj2k(transferSyntax) && isNative(instance.transfer_syntax)) ||
    (transferSyntax === JPEG_BASELINE && instance.photometric === "RGB")
  );
}

/**
 * Eight-bit pixels that were written as the words of big endian have changed places in pairs, over the ends of odd
 * frames; whether they were, only the server knows (PS3.5 7.3). It gives single frames in little endian.
 */
function isSwapped({ ref: { instance }, transferSyntax }: DecodeContext): boolean {
  return isBigEndian(transferSyntax) && instance.bits_allocated === 8;
}

async function unswappedFrame(context: DecodeContext): Promise<Types.IImage> {
  const { instance, frame } = context.ref;
  const { bytes } = await fetchFrame(context.studyUid, context.seriesUid, instance.sop_uid, frame, null);
  return greyImage(context, greyFromNative(bytes, instance, false));
}

async function renderedFrame(context: DecodeContext): Promise<Types.IImage> {
  const { instance, frame } = context.ref;
  const { rgba, width, height } = await fetchRendered(context.studyUid, context.seriesUid, instance.sop_uid, frame);
  if (width !== instance.columns || height !== instance.rows) throw new FrameFetchError("viewer.undecodable", true);
  const pixels = new Uint8Array(rgba.buffer, rgba.byteOffset, rgba.byteLength);
  return colourImage(context, context.rgba ? pixels : withoutAlpha(pixels));
}

function withoutAlpha(rgba: Uint8Array): Uint8Array {
  const out = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) out.set(rgba.subarray(from, from + 3), to);
  return out;
}

/** The frame as it is stored, for one whose other form could not be decoded. */
async function storedFrame(context: DecodeContext, cause: unknown): Promise<Types.IImage> {
  const { instance, frame } = context.ref;
  const undecodable = new FrameFetchError("viewer.undecodable", true, { cause });
  if (!isHtj2k(context.transferSyntax)) throw undecodable;
  const stored = await fetchFrame(context.studyUid, context.seriesUid, instance.sop_uid, frame, null);
  if (isHtj2k(stored.transferSyntax)) throw undecodable;
  return decodeFrame({ ...context, transferSyntax: stored.transferSyntax }, stored.bytes);
}

function decodeCompressed(context: DecodeContext, bytes: Uint8Array<ArrayBuffer>): Promise<Types.IImage> {
  const { instance } = context.ref;
  return isHtj2k(context.transferSyntax) && !isColour(instance)
    ? decodeGreyHtj2k(context, bytes)
    : decodeByHeader(context, bytes);
}

/**
 * A series may hold frames of both forms. So what the decoder gives goes the same way as
 * native pixels: the same bits count, the same type of array comes out.
 */
async function decodeGreyHtj2k(context: DecodeContext, bytes: Uint8Array<ArrayBuffer>): Promise<Types.IImage> {
  const { instance } = context.ref;
  const image = (await createImage(context.imageId, bytes, context.transferSyntax, {
    preScale: { enabled: false },
  } as Parameters<typeof createImage>[3])) as Types.IImage;
  const count = instance.rows * instance.columns;
  const values = image.getPixelData();
  if (values.length !== count) throw new FrameFetchError("viewer.undecodable", true);
  return greyImage(context, rescale(values, instance, count));
}

async function decodeByHeader(context: DecodeContext, bytes: Uint8Array<ArrayBuffer>): Promise<Types.IImage> {
  const image = await createImage(context.imageId, bytes, context.transferSyntax, {
    useRGBA: context.rgba,
    preScale: { enabled: true },
  } as Parameters<typeof createImage>[3]);
  const ready = image as Types.IImage;
  // Values are display values already; the CPU renderer would apply slope and intercept again.
  ready.isPreScaled = true;
  // A JPEG that the browser decodes comes with an alpha channel whatever the header says.
  const components = ready.getPixelData().length / (ready.rows * ready.columns);
  if (Number.isInteger(components)) ready.numberOfComponents = components;
  return ready;
}

function greyImage(context: DecodeContext, grey: Grey): Types.IImage {
  const { instance } = context.ref;
  const { center, width } = headerWindow(instance) ?? autoWindow(grey);
  return assemble(context, grey.pixels, 1, {
    minPixelValue: grey.min,
    maxPixelValue: grey.max,
    windowCenter: center,
    windowWidth: width,
    color: false,
  });
}

function colourImage(context: DecodeContext, pixels: Uint8Array): Types.IImage {
  return assemble(context, pixels, context.rgba ? 4 : 3, {
    minPixelValue: 0,
    maxPixelValue: 255,
    windowCenter: 128,
    windowWidth: 256,
    color: true,
  });
}

export function headerWindow(instance: ManifestInstance): { center: number; width: number } | null {
  const center = instance.window_center?.[0];
  const width = instance.window_width?.[0];
  return center === undefined || width === undefined || width <= 0 ? null : { center, width };
}

function autoWindow(grey: Grey): { center: number; width: number } {
  return { center: (grey.min + grey.max + 1) / 2, width: Math.max(1, grey.max - grey.min + 1) };
}

type Values = Pick<Types.IImage, "minPixelValue" | "maxPixelValue" | "windowCenter" | "windowWidth" | "color">;

function assemble(
  context: DecodeContext,
  pixels: GreyPixels,
  numberOfComponents: number,
  values: Values,
): Types.IImage {
  const { instance } = context.ref;
  const { rows, columns } = instance;
  const voxelManager = utilities.VoxelManager.createImageVoxelManager({
    scalarData: pixels,
    width: columns,
    height: rows,
    numberOfComponents,
  });
  const spacing = instance.pixel_spacing;
  return {
    ...values,
    imageId: context.imageId,
    dataType: pixels.constructor.name as Types.PixelDataTypedArrayString,
    slope: 1,
    intercept: 0,
    isPreScaled: true,
    preScale: {
      enabled: true,
      scaled: true,
      scalingParameters: {
        modality: context.modality,
        rescaleSlope: instance.slope ?? 1,
        rescaleIntercept: instance.intercept ?? 0,
      },
    },
    // Colour images have no values of a modality: inversion only concerns grey ones.
    invert: instance.photometric === "MONOCHROME1",
    photometricInterpretation: numberOfComponents === 1 ? instance.photometric : "RGB",
    rows,
    columns,
    height: rows,
    width: columns,
    rgba: numberOfComponents === 4,
    numberOfComponents,
    rowPixelSpacing: spacing?.[0] ?? 1,
    columnPixelSpacing: spacing?.[1] ?? 1,
    ...(instance.thickness === null ? {} : { sliceThickness: instance.thickness }),
    sizeInBytes: pixels.byteLength,
    voxelManager: voxelManager as Types.IVoxelManager<number>,
    getPixelData: () => pixels,
    voiLUTFunction: "LINEAR" as Types.IImage["voiLUTFunction"],
    // Only asked for by the CPU renderer, which draws from the pixels when there is no canvas.
    getCanvas: () => undefined as unknown as HTMLCanvasElement,
  };
}

import { Enums, metaData } from "@cornerstonejs/core";
import type { FrameRef } from "../fastlane/manifest";
import { findFrame, type OpenSeries } from "./registry";

const { MetadataModules } = Enums;

/** Without an orientation, the picture is shown as stored; letters are not shown then. */
const AS_STORED = [1, 0, 0, 0, 1, 0] as const;

/** Answers Cornerstone's questions about a frame from the series manifest. */
function provide(type: string, imageId: unknown): unknown {
  if (typeof imageId !== "string") return undefined;
  const found = findFrame(imageId);
  if (found === null) return undefined;
  const { series, ref } = found;
  switch (type) {
    case MetadataModules.IMAGE_PIXEL:
      return imagePixel(ref);
    case MetadataModules.IMAGE_PLANE:
      return imagePlane(series, ref);
    case MetadataModules.GENERAL_SERIES:
      return {
        modality: series.modality,
        seriesInstanceUID: series.seriesUid,
        studyInstanceUID: series.studyUid,
      };
    case MetadataModules.GENERAL_IMAGE:
      return { sopInstanceUID: ref.instance.sop_uid, instanceNumber: ref.instance.number };
    case MetadataModules.SOP_COMMON:
      return { sopInstanceUID: ref.instance.sop_uid };
    case MetadataModules.VOI_LUT:
      return {
        windowCenter: listOrNothing(ref.instance.window_center),
        windowWidth: listOrNothing(ref.instance.window_width),
      };
    case MetadataModules.MODALITY_LUT:
      return {
        rescaleSlope: ref.instance.slope ?? 1,
        rescaleIntercept: ref.instance.intercept ?? 0,
        rescaleType: series.modality === "CT" ? "HU" : undefined,
      };
    case MetadataModules.TRANSFER_SYNTAX:
      return { transferSyntaxUID: ref.transferSyntax };
    case MetadataModules.CINE: {
      const time = ref.instance.frame_time;
      return time === null || time <= 0 ? undefined : { cineRate: 1000 / time, numberOfFrames: ref.instance.frames };
    }
    default:
      return undefined;
  }
}

function listOrNothing(values: number[] | null): number[] | undefined {
  return values === null || values.length === 0 ? undefined : values;
}

function imagePixel({ instance }: FrameRef): Record<string, unknown> {
  return {
    samplesPerPixel: instance.samples,
    photometricInterpretation: instance.photometric,
    planarConfiguration: instance.planar === true || instance.planar === 1 ? 1 : 0,
    rows: instance.rows,
    columns: instance.columns,
    bitsAllocated: instance.bits_allocated,
    bitsStored: instance.bits_stored,
    highBit: instance.high_bit,
    pixelRepresentation: instance.signed ? 1 : 0,
  };
}

function imagePlane(series: OpenSeries, { instance, position }: FrameRef): Record<string, unknown> {
  const orientation = instance.orientation ?? AS_STORED;
  const spacing = instance.pixel_spacing;
  return {
    frameOfReferenceUID: position === null ? series.seriesUid : series.studyUid,
    rows: instance.rows,
    columns: instance.columns,
    imageOrientationPatient: [...orientation],
    rowCosines: orientation.slice(0, 3),
    columnCosines: orientation.slice(3, 6),
    imagePositionPatient: position ?? [0, 0, 0],
    sliceThickness: instance.thickness ?? undefined,
    pixelSpacing: spacing ?? [1, 1],
    rowPixelSpacing: spacing?.[0] ?? 1,
    columnPixelSpacing: spacing?.[1] ?? 1,
    // Measurements say "px" instead of "mm" when the header gives no spacing.
    usingDefaultValues: spacing === null,
  };
}

export function registerMetadata(): void {
  metaData.addProvider(provide, 10_000);
}

import type { Types } from "@cornerstonejs/core";
import { afterEach, describe, expect, it, vi } from "vitest";
import { listFrames, readManifest, SIBLING, type FrameRef } from "../fastlane/manifest";
import { decodeFrame, type DecodeContext } from "./image";

const { createImage } = vi.hoisted(() => ({ createImage: vi.fn() }));
vi.mock("@cornerstonejs/dicom-image-loader", () => ({ createImage }));
vi.mock("@cornerstonejs/core", () => ({ utilities: { VoxelManager: { createImageVoxelManager: () => ({}) } } }));

const EXPLICIT = "1.2.840.10008.1.2.1";

function refOf(more: object): FrameRef {
  const shared = {
    rows: 1,
    columns: 4,
    frames: 1,
    bits_allocated: 16,
    bits_stored: 12,
    high_bit: 11,
    signed: true,
    slope: 2,
    intercept: -10,
    photometric: "MONOCHROME2",
    transfer_syntax: SIBLING,
    ...more,
  };
  const [ref] = listFrames(readManifest({ shared, instances: [{ sop_uid: "1.3" }] } as never));
  if (ref === undefined) throw new Error("no frame");
  return ref;
}

function contextOf(transferSyntax: string, more: object = {}): DecodeContext {
  const ref = refOf(more);
  return { imageId: "i", studyUid: "1.1", seriesUid: "1.2", modality: "CT", ref, transferSyntax, rgba: false };
}

/** Twelve bits of each word count: the last one is -1, whatever stands above. */
const WORDS = Int16Array.of(0, 5, -7, 0x0fff);
const native = (): Uint8Array<ArrayBuffer> => new Uint8Array(WORDS.slice().buffer);

afterEach(() => {
  createImage.mockReset();
  vi.unstubAllGlobals();
});

describe("decodeFrame", () => {
  it("makes the same image of a frame whichever form it comes in", async () => {
    createImage.mockResolvedValue({ getPixelData: () => WORDS });
    const plain = await decodeFrame(contextOf(EXPLICIT), native());
    const coded = await decodeFrame(contextOf(SIBLING), Uint8Array.of(1));
    expect([...coded.getPixelData()]).toEqual([-10, 0, -24, -12]);
    const facts = (image: Types.IImage): unknown[] => [
      image.getPixelData(),
      image.dataType,
      image.minPixelValue,
      image.maxPixelValue,
      image.windowCenter,
      image.windowWidth,
    ];
    expect(facts(coded)).toEqual(facts(plain));
  });

  it("asks for the stored form where HTJ2K cannot be decoded", async () => {
    createImage.mockRejectedValue(new Error("no wasm"));
    const accepts: (string | null)[] = [];
    vi.stubGlobal("fetch", (_: string, init: RequestInit) => {
      accepts.push(new Headers(init.headers).get("accept"));
      const headers = { "content-type": `application/octet-stream; transfer-syntax=${EXPLICIT}` };
      return Promise.resolve(new Response(native(), { headers }));
    });
    const image = await decodeFrame(contextOf(SIBLING), Uint8Array.of(1));
    expect([...image.getPixelData()]).toEqual([-10, 0, -24, -12]);
    expect(accepts).toEqual(["application/octet-stream; transfer-syntax=*"]);
  });

  it("gives up where the stored form is the one that failed", async () => {
    createImage.mockRejectedValue(new Error("damaged"));
    vi.stubGlobal("fetch", () =>
      Promise.resolve(new Response(Uint8Array.of(1), { headers: { "content-type": `image/jphc; transfer-syntax=${SIBLING}` } })),
    );
    await expect(decodeFrame(contextOf(SIBLING), Uint8Array.of(1))).rejects.toMatchObject({ code: "viewer.undecodable" });
  });
});

import { afterEach, describe, expect, it } from "vitest";
import { indexOfFrames, listFrames, readManifest } from "../fastlane/manifest";
import { addSeries, findFrame, imageIdOf, removeSeries, seriesKey, type OpenSeries } from "./registry";

const KEY = seriesKey("1.2", "1.3");

function open(...sops: string[]): void {
  const manifest = readManifest({ shared: { frames: 2, transfer_syntax: "1.2" }, instances: sops.map((sop_uid) => ({ sop_uid })) });
  const refs = listFrames(manifest);
  addSeries({ key: KEY, studyUid: "1.2", seriesUid: "1.3", refs, indexOf: indexOfFrames(refs) } as unknown as OpenSeries);
}

afterEach(() => removeSeries(KEY));

describe("findFrame", () => {
  it("finds the same picture when one that came later has moved its place", () => {
    const imageId = imageIdOf(KEY, "9.2", 1);
    open("9.2");
    expect(findFrame(imageId)?.ref).toMatchObject({ index: 1, frame: 1, instance: { sop_uid: "9.2" } });
    removeSeries(KEY);
    open("9.1", "9.2");
    expect(findFrame(imageId)?.ref).toMatchObject({ index: 3, frame: 1, instance: { sop_uid: "9.2" } });
  });

  it("finds nothing for what is not there", () => {
    open("9.2");
    const ids = [imageIdOf(KEY, "9.9", 0), imageIdOf(KEY, "9.2", 2), imageIdOf(seriesKey("1.2", "1.4"), "9.2", 0), "mingying:", "wadouri:x"];
    expect(ids.map(findFrame)).toEqual([null, null, null, null, null]);
  });
});

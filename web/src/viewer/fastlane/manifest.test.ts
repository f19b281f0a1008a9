import { describe, expect, it } from "vitest";
import { indexOfFrames, listFrames, readManifest } from "./manifest";

const SENT = {
  shared: { rows: 4, columns: 4, transfer_syntax: "1.2.840.10008.1.2.1", frames: 1 },
  instances: [
    { sop_uid: "1.1", position: [0, 0, 1] as [number, number, number] },
    { sop_uid: "1.2", rows: 8, slope: 2 },
  ],
};

describe("readManifest", () => {
  it("gives each instance what all share, its own first, and null for what is absent", () => {
    const [first, second] = readManifest(SENT).instances;
    expect(first).toMatchObject({ sop_uid: "1.1", rows: 4, position: [0, 0, 1], slope: null });
    expect(second).toMatchObject({ sop_uid: "1.2", rows: 8, columns: 4, position: null, slope: 2 });
  });
});

describe("indexOfFrames", () => {
  it("finds frames by instance and number, and nothing that the manifest does not list", () => {
    const sent = { shared: { transfer_syntax: "1.2" }, instances: [{ sop_uid: "a", frames: 3 }, { sop_uid: "b", frames: 1 }] };
    const refs = listFrames(readManifest(sent));
    const indexOf = indexOfFrames(refs);
    expect(refs.map((ref) => indexOf(ref.instance.sop_uid, ref.frame))).toEqual([0, 1, 2, 3]);
    expect([indexOf("a", 3), indexOf("b", 1), indexOf("c", 0)]).toEqual([undefined, undefined, undefined]);
  });
});

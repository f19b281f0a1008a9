import { afterEach, describe, expect, it, vi } from "vitest";
import { forgetManifests, manifestOf } from "./manifests";

/** Answers by the end of the address; notes what was asked. */
function server(answers: Record<string, unknown>): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", (url: string) => {
    asked.push(url.replace("/api/v1/studies/", ""));
    const body = answers[url.replace("/api/v1/studies/", "")];
    return Promise.resolve(
      body === undefined
        ? new Response("{}", { status: 503 })
        : new Response(JSON.stringify(body), { headers: { "content-type": "application/json" } }),
    );
  });
  return asked;
}

const images = (...uids: string[]): object => ({ shared: { frames: 1 }, instances: uids.map((sop_uid) => ({ sop_uid })) });
const sops = async (series: string): Promise<string[]> =>
  (await manifestOf("1", series)).instances.map((instance) => instance.sop_uid);

afterEach(() => {
  forgetManifests();
  vi.unstubAllGlobals();
});

describe("manifestOf", () => {
  it("asks for the first series alone and for all others at once", async () => {
    const asked = server({
      "1/manifest": { series: ["a", "b", "c"].map((uid) => ({ series_uid: uid, images: images(`${uid}1`) })) },
      "1/series/a/manifest": images("a1", "a2"),
    });
    expect(await sops("a")).toEqual(["a1", "a2"]);
    expect(await Promise.all([sops("b"), sops("c")])).toEqual([["b1"], ["c1"]]);
    expect(asked.sort()).toEqual(["1/manifest", "1/series/a/manifest"]);
  });

  it("asks for a series that came later, and when the study could not be had", async () => {
    const late = server({
      "1/manifest": { series: [{ series_uid: "b", images: images() }] },
      "1/series/a/manifest": images("a1"),
      "1/series/b/manifest": images("b1"),
      "1/series/c/manifest": images("c1"),
    });
    expect([await sops("a"), await sops("b"), await sops("c")]).toEqual([["a1"], ["b1"], ["c1"]]);
    expect(late).toHaveLength(4);
    forgetManifests();
    server({ "1/series/a/manifest": images("a1"), "1/series/b/manifest": images("b1") });
    expect([await sops("a"), await sops("b")]).toEqual([["a1"], ["b1"]]);
  });
});

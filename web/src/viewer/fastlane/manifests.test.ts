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
const sops = async (series: string, images = 1): Promise<string[]> =>
  (await manifestOf("1", series, images)).instances.map((instance) => instance.sop_uid);

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

  it("asks again for a series that has grown since: a part of it must not pass for all", async () => {
    const asked = server({
      "1/manifest": { series: [{ series_uid: "b", images: images("b1") }] },
      "1/series/a/manifest": images("a1"),
      "1/series/b/manifest": images("b1", "b2"),
    });
    await sops("a");
    expect(await sops("b", 1)).toEqual(["b1"]);
    expect(asked).toHaveLength(2);
    expect(await sops("b", 2)).toEqual(["b1", "b2"]);
  });

  it("keeps the manifests of a few studies only", async () => {
    const asked = server({});
    for (let study = 0; study < 20; study += 1) await manifestOf(`9.${study}`, "s", 1).catch(() => undefined);
    asked.length = 0;
    await manifestOf("9.19", "s", 1).catch(() => undefined);
    expect(asked).not.toContain("9.19/manifest");
    await manifestOf("9.0", "s", 1).catch(() => undefined);
    expect(asked).toContain("9.0/manifest");
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

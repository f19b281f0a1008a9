import type { Manifest } from "./manifest";
import { fetchManifest, fetchStudyManifests } from "./request";

/** By study UID; empty when the request failed. */
const studies = new Map<string, Promise<Map<string, Manifest>>>();

/**
 * The manifest of a series. The first series of a study asks for its own, so that its
 * first picture waits for nothing else, and for those of the whole study beside it: the
 * others wait for that one answer.
 */
export async function manifestOf(studyUid: string, seriesUid: string): Promise<Manifest> {
  const asked = studies.get(studyUid);
  if (asked === undefined) {
    studies.set(
      studyUid,
      fetchStudyManifests(studyUid).catch(() => new Map<string, Manifest>()),
    );
    return fetchManifest(studyUid, seriesUid);
  }
  // Images may have come since: then the series asks for itself.
  const found = (await asked).get(seriesUid);
  return found === undefined || found.instances.length === 0 ? fetchManifest(studyUid, seriesUid) : found;
}

export function forgetManifests(): void {
  studies.clear();
}

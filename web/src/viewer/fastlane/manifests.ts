import type { Manifest } from "./manifest";
import { fetchManifest, fetchStudyManifests } from "./request";

/** By study UID, the last asked for last; empty when the request failed. */
const studies = new Map<string, Promise<Map<string, Manifest>>>();
/** A case with its priors; a reader passes many cases without leaving the room. */
const KEPT = 8;

function makeRoom(): void {
  for (const oldest of studies.keys()) {
    if (studies.size < KEPT) return;
    studies.delete(oldest);
  }
}

/**
 * The manifest of a series that has at least so many images. The first series of a study
 * asks for its own, so that its first picture waits for nothing else, and for those of
 * the whole study beside it: the others wait for that one answer.
 */
export async function manifestOf(studyUid: string, seriesUid: string, images: number): Promise<Manifest> {
  const asked = studies.get(studyUid);
  if (asked === undefined) {
    makeRoom();
    studies.set(
      studyUid,
      fetchStudyManifests(studyUid).catch(() => new Map<string, Manifest>()),
    );
    return fetchManifest(studyUid, seriesUid);
  }
  // Images may have come since: then the series asks for itself. A part of a series must never pass for all of it.
  const found = (await asked).get(seriesUid);
  return found === undefined || found.instances.length < Math.max(1, images)
    ? fetchManifest(studyUid, seriesUid)
    : found;
}

export function forgetManifests(): void {
  studies.clear();
}

import { API, path, type SentManifest, type SentStudyManifest } from "@/api";
import { readManifest, SIBLING, type Manifest } from "./manifest";
import { FrameFetchError } from "./seriesFrames";

/** Answers that will not change by asking again. */
const PERMANENT = new Set([400, 401, 403, 404, 406, 410, 413, 422]);

export async function get(url: string, accept: string, signal: AbortSignal | null): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { credentials: "same-origin", headers: { accept }, signal });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new FrameFetchError("network.unreachable", false);
  }
  if (!response.ok) {
    throw new FrameFetchError(await codeOf(response), PERMANENT.has(response.status));
  }
  return response;
}

async function codeOf(response: Response): Promise<string> {
  try {
    const body: unknown = await response.json();
    if (typeof body === "object" && body !== null && "code" in body && typeof body.code === "string") {
      return body.code;
    }
  } catch {
    // A proxy's page instead of problem+json: the status says enough.
  }
  return `http.${response.status}`;
}

export async function fetchManifest(studyUid: string, seriesUid: string, signal?: AbortSignal): Promise<Manifest> {
  const address = `${API}${path`/studies/${studyUid}/series/${seriesUid}/manifest`}`;
  const response = await get(address, "application/json", signal ?? null);
  return readManifest((await response.json()) as SentManifest);
}

/** The manifests of all series of a study, by series UID. */
export async function fetchStudyManifests(studyUid: string): Promise<Map<string, Manifest>> {
  const response = await get(`${API}${path`/studies/${studyUid}/manifest`}`, "application/json", null);
  const study = (await response.json()) as SentStudyManifest;
  return new Map(study.series.map((series) => [series.series_uid, readManifest(series.images)]));
}

export async function fetchPixels(
  studyUid: string,
  seriesUid: string,
  start: number,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const address = `${API}${path`/studies/${studyUid}/series/${seriesUid}/pixels`}?start=${start}`;
  const response = await get(address, "application/octet-stream", signal);
  if (response.body === null) throw new FrameFetchError("viewer.frames_missing", true);
  return response.body;
}

/** What is asked for: the form that the server keeps for viewers, where the manifest told of it, or the stored one. */
function acceptFor(transferSyntax: string | null): string {
  const stored = "application/octet-stream; transfer-syntax=*";
  return transferSyntax === SIBLING ? `image/jphc; transfer-syntax=${SIBLING}, ${stored}; q=0.5` : stored;
}

/** One frame on its own, in the form that its manifest names; null: as it is stored. */
export async function fetchFrame(
  studyUid: string,
  seriesUid: string,
  sopUid: string,
  frame: number,
  form: string | null,
  signal: AbortSignal | null = null,
): Promise<{ transferSyntax: string; bytes: Uint8Array<ArrayBuffer> }> {
  const address = `/dicom-web${path`/studies/${studyUid}/series/${seriesUid}/instances/${sopUid}`}/frames/${frame + 1}`;
  const response = await get(address, acceptFor(form), signal);
  const told = /transfer-syntax="?([0-9.]+)/.exec(response.headers.get("content-type") ?? "");
  if (told?.[1] === undefined) throw new FrameFetchError("viewer.undecodable", true);
  return { transferSyntax: told[1], bytes: new Uint8Array(await response.arrayBuffer()) };
}

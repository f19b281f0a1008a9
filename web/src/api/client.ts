import { Problem, problemOf } from "./problem";

/** Every path of the JSON interface stands below this prefix. */
export const API = "/api/v1";

type QueryValue = string | number | boolean | null | undefined | readonly string[];
export type Query = Record<string, QueryValue>;

export interface CallOptions {
  query?: Query;
  signal?: AbortSignal;
  /** Overrides the session: displays carry their own key. */
  bearer?: string | null;
}

let csrf: string | null = null;
let onSignedOut: (() => void) | null = null;

/** The session's token, repeated in a header on every request that changes something. */
export function setCsrf(token: string | null): void {
  csrf = token;
}

/** Called when the server says that the session has ended. */
export function whenSignedOut(listener: (() => void) | null): void {
  onSignedOut = listener;
}

export function url(path: string, query?: Query): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === null || value === undefined || value === "") continue;
    const text = Array.isArray(value) ? value.join(",") : String(value);
    if (text !== "") parameters.set(name, text);
  }
  const search = parameters.toString();
  return `${API}${path}${search === "" ? "" : `?${search}`}`;
}

async function send(method: string, path: string, body: unknown, options: CallOptions): Promise<Response> {
  const headers = new Headers({ accept: "application/json, application/problem+json" });
  if (body !== undefined) headers.set("content-type", "application/json");
  if (method !== "GET" && csrf !== null) headers.set("x-csrf-token", csrf);
  if (options.bearer) headers.set("authorization", `Bearer ${options.bearer}`);
  let response: Response;
  try {
    response = await fetch(url(path, options.query), {
      method,
      headers,
      body: body === undefined ? null : JSON.stringify(body),
      credentials: "same-origin",
      signal: options.signal ?? null,
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Problem({ status: 0, code: "network.unreachable" });
  }
  if (!response.ok) {
    const problem = await problemOf(response);
    // A wrong password is a 401 as well; only the loss of a session concerns the whole client.
    if (problem.code === "login.required" && !options.bearer) onSignedOut?.();
    throw problem;
  }
  return response;
}

async function json<T>(method: string, path: string, body: unknown, options: CallOptions): Promise<T> {
  const response = await send(method, path, body, options);
  if (response.status === 204) return null as T;
  const text = await response.text();
  return (text === "" ? null : JSON.parse(text)) as T;
}

/** Percent-encodes one path segment: `api.get(path`/orders/${id}`)`. */
export function path(parts: TemplateStringsArray, ...values: (string | number)[]): string {
  return parts.reduce((whole, part, index) => {
    const value = values[index];
    return whole + part + (value === undefined ? "" : encodeURIComponent(String(value)));
  }, "");
}

/** Short lists are bare arrays, long ones pages; screens that want all of a short list need not care. */
function itemsOf<T>(answer: readonly T[] | { items: readonly T[] } | null): T[] {
  if (answer === null) return [];
  return "items" in answer ? [...answer.items] : [...answer];
}

export const api = {
  list: async <T>(path: string, options: CallOptions = {}) =>
    itemsOf(await json<readonly T[] | { items: readonly T[] } | null>("GET", path, undefined, options)),
  get: <T>(path: string, options: CallOptions = {}) => json<T>("GET", path, undefined, options),
  post: <T>(path: string, body?: unknown, options: CallOptions = {}) => json<T>("POST", path, body ?? {}, options),
  put: <T>(path: string, body?: unknown, options: CallOptions = {}) => json<T>("PUT", path, body ?? {}, options),
  patch: <T>(path: string, body?: unknown, options: CallOptions = {}) => json<T>("PATCH", path, body ?? {}, options),
  delete: <T = null>(path: string, options: CallOptions = {}) => json<T>("DELETE", path, undefined, options),
  /** The raw response, for streams and files. */
  raw: (path: string, options: CallOptions = {}) => send("GET", path, undefined, options),
};

/** RFC 9457 problem+json as the server sends it: a stable code and parameters, never a sentence. */
export interface ProblemBody {
  type: string;
  title: string;
  status: number;
  code: string;
  params: Record<string, string | number | boolean | null>;
}

export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly params: ProblemBody["params"];

  constructor(body: Pick<ProblemBody, "status" | "code"> & Partial<ProblemBody>) {
    super(body.code);
    this.name = "Problem";
    this.status = body.status;
    this.code = body.code;
    this.params = body.params ?? {};
  }

  /** The field a 422 is about, if the server named one. */
  get field(): string | null {
    const field = this.params["field"];
    return typeof field === "string" ? field : null;
  }
}

/** Anything that was thrown becomes a Problem, so that screens have one kind of failure to show. */
export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof DOMException && error.name === "AbortError") return new Problem({ status: 0, code: "network.aborted" });
  // Browsers report a lost connection as a TypeError, and so they do a mistake of ours.
  if (error instanceof TypeError && /fetch|network|load failed|dynamically imported/i.test(error.message)) return new Problem({ status: 0, code: "network.unreachable" });
  return new Problem({ status: 0, code: "client.failed" });
}

/** Reads a failed response. A proxy in front of the server may answer with something else than JSON. */
export async function problemOf(response: Response): Promise<Problem> {
  const fallback = new Problem({ status: response.status, code: `http.${response.status}` });
  try {
    const body: unknown = await response.json();
    if (typeof body !== "object" || body === null) return fallback;
    const { code, params } = body as Partial<ProblemBody>;
    if (typeof code !== "string" || code === "") return fallback;
    return new Problem({ status: response.status, code, params: typeof params === "object" && params !== null ? params : {} });
  } catch {
    return fallback;
  }
}

type Translate = (key: string, options: { defaultValue: string; [name: string]: unknown }) => string;

/**
 * The sentence for a problem: of its own code, else of its status.
 * `t` must know the namespace `errors`.
 */
export function problemText(t: Translate, error: unknown): string {
  const problem = asProblem(error);
  const unknown = "\u0000";
  const keys = [`errors:${problem.code}`, `errors:status.${problem.status}`, "errors:status.0"];
  for (const key of keys) {
    const text = t(key, { ...problem.params, defaultValue: unknown });
    if (text !== unknown && text !== key) return text;
  }
  return problem.code;
}

import { afterEach, describe, expect, it, vi } from "vitest";
import { api, path, setCsrf, url, whenSignedOut } from "./client";
import { reconnectDelay, topicMatches } from "./live";
import { asProblem, Problem, problemOf, problemText } from "./problem";

const respond = (status: number, body: BodyInit | null, type = "application/problem+json") => new Response(body, { status, headers: { "content-type": type } });

describe("problem mapping", () => {
  it("reads code and parameters", async () => {
    const problem = await problemOf(respond(422, JSON.stringify({ type: "about:blank", title: "", status: 422, code: "order.invalid", params: { field: "items" } })));
    expect([problem.status, problem.code, problem.field]).toEqual([422, "order.invalid", "items"]);
  });
  it("survives what a proxy answers", async () => {
    expect((await problemOf(respond(502, "<html>bad gateway</html>", "text/html"))).code).toBe("http.502");
    expect((await problemOf(respond(500, "{}"))).code).toBe("http.500");
    expect((await problemOf(respond(500, '{"code":7}'))).code).toBe("http.500");
    expect((await problemOf(respond(409, '{"code":"slot.taken","params":null}'))).params).toEqual({});
  });
  it("turns anything thrown into a problem", () => {
    expect(asProblem(new TypeError("fetch failed")).code).toBe("network.unreachable");
    expect(asProblem(new DOMException("", "AbortError")).code).toBe("network.aborted");
    expect(asProblem(new TypeError("x is not a function")).code).toBe("client.failed");
    expect(asProblem("?").code).toBe("client.failed");
    const problem = new Problem({ status: 409, code: "slot.taken" });
    expect(asProblem(problem)).toBe(problem);
  });
  it("prefers the code's own sentence, then the status", () => {
    const words: Record<string, string> = { "errors:slot.taken": "taken", "errors:status.409": "conflict", "errors:status.0": "unreachable" };
    const t = (key: string, { defaultValue }: { defaultValue: string }) => words[key] ?? defaultValue;
    expect(problemText(t, new Problem({ status: 409, code: "slot.taken" }))).toBe("taken");
    expect(problemText(t, new Problem({ status: 409, code: "other.thing" }))).toBe("conflict");
    expect(problemText(t, new Problem({ status: 418, code: "tea" }))).toBe("unreachable");
    expect(problemText((_, { defaultValue }) => defaultValue, new Problem({ status: 418, code: "tea" }))).toBe("tea");
  });
});

describe("client", () => {
  afterEach(() => {
    setCsrf(null);
    whenSignedOut(null);
    vi.unstubAllGlobals();
  });
  it("builds addresses", () => {
    expect(url("/orders", { q: "张", state: ["arrived", "completed"], cursor: null, limit: 50, modality: "" })).toBe("/api/v1/orders?q=%E5%BC%A0&state=arrived%2Ccompleted&limit=50");
    expect(path`/peers/${"A B/C"}/echo`).toBe("/peers/A%20B%2FC/echo");
  });
  it("sends the token with changes only", async () => {
    const fetch = vi.fn(async () => respond(200, "{}", "application/json"));
    vi.stubGlobal("fetch", fetch);
    setCsrf("secret");
    await api.get("/orders");
    await api.post("/orders", {});
    const headers = fetch.mock.calls.map((call) => new Headers((call as unknown as [string, RequestInit])[1].headers).get("x-csrf-token"));
    expect(headers).toEqual([null, "secret"]);
  });
  it("tells the shell when the session ends, but not when a password is wrong or a display's key fails", async () => {
    const ended = vi.fn();
    whenSignedOut(ended);
    vi.stubGlobal("fetch", async () => respond(401, '{"code":"login.failed"}'));
    await expect(api.post("/session", {})).rejects.toMatchObject({ code: "login.failed" });
    expect(ended).not.toHaveBeenCalled();
    vi.stubGlobal("fetch", async () => respond(401, '{"code":"login.required"}'));
    await expect(api.get("/displays/1", { bearer: "key" })).rejects.toMatchObject({ status: 401 });
    expect(ended).not.toHaveBeenCalled();
    await expect(api.get("/orders")).rejects.toMatchObject({ status: 401 });
    expect(ended).toHaveBeenCalledOnce();
  });
  it("takes lists as arrays or pages, and nothing as nothing", async () => {
    vi.stubGlobal("fetch", async () => respond(200, "[1,2]", "application/json"));
    expect(await api.list("/slots")).toEqual([1, 2]);
    vi.stubGlobal("fetch", async () => respond(200, '{"items":[3],"next":null}', "application/json"));
    expect(await api.list("/slots")).toEqual([3]);
    vi.stubGlobal("fetch", async () => respond(204, null));
    expect(await api.post("/queue/next", {})).toBeNull();
  });
});

describe("live events", () => {
  it("matches whole words of a topic", () => {
    expect(topicMatches(["order"], "order.created")).toBe(true);
    expect(topicMatches(["order"], "orderly.created")).toBe(false);
    expect(topicMatches(["queue.called"], "queue.joined")).toBe(false);
    expect(topicMatches(["queue"], "*")).toBe(true);
    expect(topicMatches(["*"], "anything.at_all")).toBe(true);
  });
  it("never waits ten seconds for a new connection", () => {
    const waits = Array.from({ length: 20 }, (_, attempt) => reconnectDelay(attempt));
    expect(waits[0]).toBe(500);
    expect(Math.max(...waits)).toBeLessThan(10_000);
  });
});

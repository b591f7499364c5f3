import { describe, expect, it, vi } from "vitest";

import { ApiError, api, apiFile, apiText } from "@/lib/api";
import { refusal, serve } from "@/tests/server";

async function failure(promise: Promise<unknown>): Promise<ApiError> {
  const error = await promise.then(() => undefined, (reason: unknown) => reason);
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
}

describe("api", () => {
  it("fills paths and leaves empty query values out", async () => {
    const seen = serve({ "GET /api/usage/requests/a%2Fb": { body: {} }, "GET /api/usage/requests": { body: { items: [] } } });
    await api("get", "/api/usage/requests/{id}", { path: { id: "a/b" } });
    await api("get", "/api/usage/requests", { query: { limit: 5, model: "", status: "4xx" } });
    expect(seen.map(({ line }) => line)).toEqual(["GET /api/usage/requests/a%2Fb", "GET /api/usage/requests?limit=5&status=4xx"]);
  });

  it("renews an expired session once for all requests and sends them again", async () => {
    const me = [refusal("token_expired", 401), refusal("token_expired", 401), { body: { acts_as: "member" } }];
    const seen = serve({ "GET /api/me": me, "POST /api/auth/refresh": { body: {} } });
    const both = await Promise.all([api("get", "/api/me"), api("get", "/api/me")]);
    expect(both.map(({ acts_as }) => acts_as)).toEqual(["member", "member"]);
    expect(seen.filter(({ line }) => line.startsWith("POST"))).toHaveLength(1);
  });

  it("reads a text as it is, and renews an expired session for it", async () => {
    serve({ "GET /api/usage/series": [refusal("token_expired", 401), { text: "at,name\r\n" }], "POST /api/auth/refresh": { body: {} } });
    expect(await apiText("/api/usage/series", { query: { format: "csv" } })).toBe("at,name\r\n");
    serve({ "GET /api/usage/series": refusal("bad_request", 400, "too many steps") });
    expect((await failure(apiText("/api/usage/series"))).message).toBe("too many steps");
  });

  it("reports a session that cannot be renewed", async () => {
    serve({ "GET /api/me": refusal("token_expired", 401), "POST /api/auth/refresh": refusal("token_expired", 401) });
    expect((await failure(api("get", "/api/me"))).isSignedOut).toBe(true);
  });

  it("does not renew for a wrong password", async () => {
    const seen = serve({ "POST /api/auth/login": refusal("unauthorized", 401) });
    await failure(api("post", "/api/auth/login", { body: { key: "x" } }));
    expect(seen).toHaveLength(1);
  });

  it("keeps code, message, wait and request id of a refusal", async () => {
    serve({ "GET /api/me": { ...refusal("rate_limited", 429, "wait"), headers: { "Retry-After": "702", "X-Request-Id": "0199" } } });
    expect(await failure(api("get", "/api/me"))).toMatchObject({ code: "rate_limited", status: 429, message: "wait", retryAfter: 702, requestId: "0199" });
  });

  it("waits for 30 s and no longer", async () => {
    vi.useFakeTimers();
    try {
      vi.stubGlobal("fetch", (_: string, init: RequestInit) => new Promise((_resolve, reject) => init.signal?.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")))));
      const settled = vi.fn();
      const late = failure(api("get", "/api/me")).finally(settled);
      await vi.advanceTimersByTimeAsync(30_000);
      expect(settled).not.toHaveBeenCalled();
      await vi.advanceTimersByTimeAsync(5_000);
      expect(await late).toMatchObject({ code: "late", status: 0 });
    } finally {
      vi.useRealTimers();
    }
  });

  it("reads a large file for longer, once its head has arrived", async () => {
    vi.useFakeTimers();
    try {
      vi.stubGlobal("fetch", async (_: string, init: RequestInit) => {
        const blob = () => new Promise((resolve, reject) => {
          init.signal?.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
          setTimeout(() => resolve(new Blob(["zip"])), 60_000);
        });
        return { ok: true, headers: new Headers(), blob };
      });
      const file = apiFile("/export/{id}", { path: { id: "2026-11-20" } });
      await vi.advanceTimersByTimeAsync(61_000);
      expect((await file).size).toBe(3);
    } finally {
      vi.useRealTimers();
    }
  });

  it("names a server that does not respond, and a response that is no JSON", async () => {
    serve({});
    expect(await failure(api("get", "/api/me"))).toMatchObject({ code: "offline", status: 0 });
    serve({ "GET /api/me": { text: "<html>" } });
    expect(await failure(api("get", "/api/me"))).toMatchObject({ code: "unreadable", status: 200 });
    serve({ "GET /api/me": { text: "<h1>502</h1>", status: 502 } });
    expect(await failure(api("get", "/api/me"))).toMatchObject({ code: "unreadable", status: 502 });
  });
});

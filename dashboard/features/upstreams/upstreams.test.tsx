import { screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { UpstreamsPage, historyOf } from "@/features/upstreams/upstreams-page";
import { type Backend, type UpstreamList, healthOf } from "@/features/upstreams/use-upstreams";
import { en } from "@/messages/en";
import { show } from "@/tests/render";
import { serve } from "@/tests/server";

const ADMIN = { user: { id: "u1", name: "Ada", email: "ada@example.com", plan: "starter", role: "admin", kind: "person", status: "active", created_at: "2026-11-01T00:00:00Z" }, acts_as: "admin", roles: [], session_id: "s", key_id: null };
const BACKEND: Backend = {
  url: "http://10.0.0.1:9000", weight: 1, state: "unhealthy", in_flight: 2, requests: 1_200, failures: 12, failed: 15, server_errors: 8, mean_ms: 4.75, p50_ms: 4.5, p95_ms: 19,
  ejections: 0, breaker_openings: 3, checks_succeeded: 70, checks_failed: 5,
};
const UNUSED: Backend = {
  url: "http://10.0.0.2:9000", weight: 1, state: null, in_flight: null, requests: null, failures: null, failed: null, server_errors: null, mean_ms: null, p50_ms: null, p95_ms: null,
  ejections: null, breaker_openings: null, checks_succeeded: null, checks_failed: null,
};
const list = (backends: Backend[]): UpstreamList => ({ is_live: true, items: [{ name: "users", kind: "upstream", strategy: "ewma", backends, sources: [] }], next: null });

describe("the page of upstreams", () => {
  it("shows the state, the counts and the history of each backend", async () => {
    serve({ "GET /api/me": { body: ADMIN }, "GET /api/upstreams": { body: list([BACKEND, UNUSED]) } });
    show(<UpstreamsPage />);
    const row = (await screen.findByText("http://10.0.0.1:9000")).closest("tr");
    const cells = [...(row?.querySelectorAll("td") ?? [])].map((cell) => cell.textContent);
    expect(cells).toEqual([
      "http://10.0.0.1:90005 of 75 health checks failed · breaker opened 3 times", "Unhealthy", "1", "2", expect.any(String), "1,200", "158 × 5xx", "12", "4.5 ms", "19 ms",
    ]);
    expect(screen.getByText("Not used yet")).toBeInTheDocument();
    expect(screen.getByText("ewma")).toBeInTheDocument();
    expect(screen.getByText("1 of 2 available")).toBeInTheDocument();
  });

  it("tells members with one address apart by their names", async () => {
    const twins = [{ ...BACKEND, name: "one.internal" }, { ...UNUSED, url: BACKEND.url, name: "two.internal" }];
    serve({ "GET /api/me": { body: ADMIN }, "GET /api/upstreams": { body: list(twins) } });
    show(<UpstreamsPage />);
    expect((await screen.findByText("one.internal")).closest("tr")).toHaveTextContent("Unhealthy");
    expect(screen.getByText("two.internal").closest("tr")).toHaveTextContent("Not used yet");
  });

  it("says that another process has the states", async () => {
    serve({ "GET /api/me": { body: ADMIN }, "GET /api/upstreams": { body: { ...list([UNUSED]), is_live: false } } });
    show(<UpstreamsPage />);
    expect(await screen.findByText("Another process serves the proxy")).toBeInTheDocument();
    expect(screen.queryByText(/available/)).not.toBeInTheDocument();
  });

  it("leads to the configuration if there is no upstream", async () => {
    serve({ "GET /api/me": { body: ADMIN }, "GET /api/upstreams": { body: { is_live: true, items: [], next: null } } });
    show(<UpstreamsPage />);
    expect(await screen.findByRole("link", { name: "Open configuration" })).toHaveAttribute("href", "/dashboard/configuration");
  });
});

describe("the health of an upstream", () => {
  it("counts the backends that get requests", () => {
    const of = (backends: Backend[]) => healthOf({ name: "users", kind: "upstream", strategy: "ewma", backends, sources: [] });
    const available: Backend = { ...BACKEND, state: "available" };
    expect(of([available, UNUSED])).toEqual({ mark: "ok", available: 2, all: 2 });
    expect(of([available, BACKEND, { ...BACKEND, weight: 0 }])).toEqual({ mark: "warn", available: 1, all: 2 });
    expect(of([BACKEND])).toEqual({ mark: "bad", available: 0, all: 1 });
    expect(of([UNUSED])).toEqual({ mark: "unknown", available: 1, all: 1 });
    expect(of([{ ...available, weight: 0 }])).toEqual({ mark: "unknown", available: 0, all: 0 });
  });
});

describe("the history of a backend", () => {
  it("names only what has happened", () => {
    expect(historyOf(UNUSED, en, String)).toBe("");
    expect(historyOf({ ...UNUSED, ejections: 2 }, en, String)).toBe("ejected 2 times");
    expect(historyOf({ ...UNUSED, ejections: 1, breaker_openings: 1 }, en, String)).toBe("ejected once · breaker opened once");
  });
});

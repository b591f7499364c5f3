import { screen } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";

import { RoutesPage } from "@/features/routes/routes-page";
import { show } from "@/tests/render";
import { serve } from "@/tests/server";

const ADMIN = { user: { id: "u1", name: "Ada", email: "ada@example.com", plan: "starter", role: "admin", kind: "person", status: "active", created_at: "2026-11-01T00:00:00Z" }, acts_as: "admin", roles: [], session_id: "s", key_id: null };
const USED = {
  credits: 0, unpriced_requests: 0, cost: { amount_nano: 0, currency: "USD" },
  tokens: { input: 0, cached_input: 0, cache_write: 0, output: 0, reasoning: 0, total: 0 },
};
const ORDERS = {
  ...USED, name: "orders", kind: "route", requests: 1_200, succeeded: 1_190, refused: 34, errors: 10, latency: { p50_ms: 1.5, p95_ms: 9, mean_ms: null },
  configuration: {
    place: "tollgate.yaml:3:5", host: "shop.example.com", path: "/orders", methods: ["GET"], matches: [], action: "forward", auth: "key", events: "folded",
    upstreams: [{ name: "blue", weight: 9 }, { name: "green", weight: 1 }],
  },
  live: { requests: 100, failed: 1 },
};
const upstream = (name: string, ...states: string[]) => ({
  name, kind: "upstream", strategy: "round_robin", backends: states.map((state, index) => ({ url: `http://10.0.0.${index}`, weight: 1, state })),
});
const UPSTREAMS = { is_live: true, items: [upstream("blue", "available", "unhealthy"), upstream("green", "open")], next: null };
const CHAT = { ...USED, name: "/v1/chat/completions", kind: "llm", requests: 2, succeeded: 2, refused: 0, errors: 0, latency: { p50_ms: null, p95_ms: null, mean_ms: null }, configuration: null, live: { requests: 0, failed: 0 } };

describe("the page of routes", () => {
  it("shows what each route matches, its results, and a link to its requests", async () => {
    serve({ "GET /api/me": { body: ADMIN }, "GET /api/routes": { body: { since: "2026-11-20", items: [ORDERS, CHAT], next: null } }, "GET /api/upstreams": { status: 503 } });
    show(<RoutesPage />);
    const link = await screen.findByRole("link", { name: "orders" });
    expect(link).toHaveAttribute("href", "/dashboard/usage?scope=all&route=orders");
    const cells = [...(link.closest("tr")?.querySelectorAll("td") ?? [])].map((cell) => cell.textContent);
    expect(cells).toEqual(["ordersGET shop.example.com/orders", "blue (9)green (1)", "–", "1,234", "10", "34", expect.stringContaining("1.5"), expect.stringContaining("9")]);
    expect(screen.getByText("LLM endpoint")).toBeInTheDocument();
  });

  it("shows the health of each upstream and the rates since the reading before", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    const later = { ...ORDERS, live: { requests: 160, failed: 2 } };
    const list = (route: unknown) => ({ body: { since: "2026-11-20", items: [route], next: null } });
    serve({ "GET /api/me": { body: ADMIN }, "GET /api/routes": [list(ORDERS), list(later)], "GET /api/upstreams": { body: UPSTREAMS } });
    show(<RoutesPage />);
    const row = (await screen.findByRole("link", { name: "orders" })).closest("tr");
    expect(await screen.findByText("0 of 1 available")).toBeInTheDocument();
    expect([...(row?.querySelectorAll(".dot") ?? [])].map((dot) => dot.className)).toEqual(["dot warn", "dot bad"]);
    await vi.advanceTimersByTimeAsync(3_000);
    expect(await screen.findByText(/ failed$/)).toHaveTextContent("0.3 failed");
  });

  it("leads to the configuration if there is no route", async () => {
    serve({ "GET /api/me": { body: ADMIN }, "GET /api/routes": { body: { since: "2026-11-20", items: [], next: null } }, "GET /api/upstreams": { body: { is_live: true, items: [], next: null } } });
    show(<RoutesPage />);
    expect(await screen.findByRole("link", { name: "Open configuration" })).toHaveAttribute("href", "/dashboard/configuration");
  });
});

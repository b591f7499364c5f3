import { screen } from "@testing-library/react";
import { beforeEach, describe, expect, it } from "vitest";

import { RequestDrawer } from "@/features/usage/request-drawer";
import type { Schemas } from "@/lib/api";
import { visit } from "@/tests/navigation";
import { SITE, show } from "@/tests/render";
import { serve } from "@/tests/server";

beforeEach(() => visit("/dashboard/usage"));

type Limit = Schemas["RefusedLimit"];

const ID = "0199aa00-0000-7000-8000-000000000009";
const REQUEST: Schemas["RequestDetail"] = {
  id: ID, started_at: "2026-11-21T12:00:00Z", status: 429, outcome: "completed", route: "/v1/chat/completions", format: "chat", model: "fast", provider: null, key: null, subject: null,
  refusal: { code: "quota_exceeded", message: "the credits of the day are used up", page: "x", limit: null }, streamed: false, credits: 0, tokens: null, cost: null, unpriced: false, unknown_reason: null,
  attempt_count: 0, attempts: [], skipped: [], trace_id: null, trace_url: null, labels: {}, program: "unknown", tool_use: "none", bytes: { request: 10, response: 20 }, phases: { total_ms: 1, first_byte_ms: null, upstream_ms: null }, charged: { credits: 0, tokens: 0, cost: null },
} as unknown as Schemas["RequestDetail"];

function open(change: Partial<Schemas["RequestDetail"]> = {}, more: Parameters<typeof serve>[0] = {}) {
  serve({
    ...more,
    "GET /api/site": { body: SITE },
    "GET /api/me": { body: { user: { id: "u1", name: "Ada", email: "ada@example.com", plan: "starter", role: "admin", status: "active", created_at: "2026-11-01T00:00:00Z" }, acts_as: "admin", roles: [] } },
    [`GET /api/usage/requests/${ID}`]: { body: { ...REQUEST, ...change } },
  });
  return show(<RequestDrawer id={ID} onClose={() => undefined} />);
}

describe("RequestDrawer", () => {
  it("names the code that OpenAI clients see in place of the gateway's", async () => {
    const { unmount } = open();
    expect(await screen.findByText("Clients of the OpenAI format see the code insufficient_quota.")).toBeVisible();
    unmount();
    open({ format: "messages" });
    expect(await screen.findByText("quota_exceeded")).toBeVisible();
    expect(screen.queryByText(/insufficient_quota/)).toBeNull();
  });

  it("links the user and the key of a refused request, and shows the state of its budgets", async () => {
    const key = { id: "k1", user_id: "u2", label: "laptop", prefix: "acme", last4: "9f3c", created_at: "2026-11-01T00:00:00Z", labels: {}, user: { id: "u2", name: "Budi", email: null }, use: { days: [] } };
    const used = { amount_nano: 2_000_000_000, currency: "USD" };
    const budgets = [{ dimension: "key", id: "k1", per: "day", money: "2 USD", used, remaining: { ...used, amount_nano: 0 }, resets_at: "2026-11-22T00:00:00Z", source: "api" }];
    open({ key: { id: "k1", label: "laptop", prefix: "acme", last4: "9f3c" }, user: { id: "u2", name: "Budi" }, refusal: { code: "budget_exceeded", message: "a budget is used up", page: "x", limit: null } }, {
      "GET /api/keys/k1": { body: key },
      "GET /api/usage/today": { body: { budgets } },
    });
    expect(await screen.findByRole("link", { name: "Budi" })).toHaveAttribute("href", "/dashboard/users?id=u2");
    expect(screen.getByRole("link", { name: "laptop" })).toHaveAttribute("href", "/dashboard/keys?id=k1");
    expect(await screen.findByText("$2.00 of $2.00")).toHaveClass("bad");
    expect(screen.getByText(/\$0\.00 left/)).toBeVisible();
    expect(screen.getByText(/full again on 22 Nov 2026, 07:00:00/)).toBeVisible();
    expect(screen.getByRole("link", { name: "Change" })).toHaveAttribute("href", "/dashboard/budgets");
    expect(screen.getByRole("link", { name: "About budget_exceeded" })).toHaveAttribute("href", "/docs/errors#budget_exceeded");
  });

  it("says which limit refused a request, with its amounts at that time, and who can raise it", async () => {
    const limit: Limit = { owner: "user", rule: null, unit: "credits", window_s: 86_400, maximum: 1_000, used: 998, requested: 3, left: 2, full_at: "2026-11-22T00:00:00Z", raised_by: "admin" };
    const refusal = { code: "quota_exceeded" as const, message: "x", page: "x", limit };
    const { unmount } = open({ refusal, user: { id: "u2", name: "Budi" } });
    const then = await screen.findByRole("region", { name: "The limit that refused it, at that time" });
    expect(then).toHaveTextContent("Credits per day (of the user with all keys): 998 of 1,000, 3 needed, 2 left, full again on 22 Nov 2026, 07:00:00");
    expect(await screen.findByRole("link", { name: "Change" })).toHaveAttribute("href", "/dashboard/users?id=u2");
    expect(then).toHaveTextContent("An admin can raise it. Change");
    unmount();
    const money = (amount_nano: number) => ({ amount_nano, currency: "USD" });
    const shared: Limit = { ...limit, owner: "plan", unit: "money", window_s: 2_592_000, maximum: null, used: null, left: null, requested: money(2_000_000) };
    const { unmount: close } = open({ refusal: { ...refusal, limit: shared } });
    expect(await screen.findByText(/used up, with amounts that only admins see/)).toBeVisible();
    expect(screen.getByRole("region", { name: /that refused it/ })).toHaveTextContent("Spend per month (of all users of the plan together)");
    close();
    open({ refusal: { ...refusal, limit: { ...limit, owner: "rule", rule: "ip", unit: "requests", window_s: 10, full_at: null } } });
    expect(await screen.findByText(/ip: Requests in 10/)).toBeVisible();
    expect(await screen.findByRole("link", { name: "Change" })).toHaveAttribute("href", "/dashboard/limits");
  });

  it("shows the labels, the program and the use of tools", async () => {
    open({ labels: { team: "payments" }, program: "codex", tool_use: "called" });
    expect(await screen.findByText("team=payments")).toBeVisible();
    expect(screen.getByText("codex")).toBeVisible();
    expect(screen.getByText("Called")).toBeVisible();
  });

  it("leads an admin to the explanation of an LLM request", async () => {
    open({ key: { id: "k1", label: "laptop", prefix: "acme", last4: "9f3c" } });
    const link = await screen.findByRole("link", { name: "Explain this request" });
    expect(link).toHaveAttribute("href", "/dashboard/explain?method=POST&url=%2Fv1%2Fchat%2Fcompletions&key=k1");
  });

  it("shows the skipped targets between the attempts, with their reasons", async () => {
    const attempt = (provider: string, status: number) => ({ provider, model: "m", status, total_ms: 10, first_byte_ms: 5, price: null });
    const skip = (provider: string, reason: string, attempts_before: number) => ({ provider, model: "m", reason, attempts_before });
    open({
      refusal: null, status: 200, attempt_count: 2, attempts: [attempt("first", 500), attempt("last", 200)],
      skipped: [skip("cold", "cooldown", 0), skip("dead", "connect", 1), skip("full", "limit", 1), skip("new", "of_tomorrow", 9)],
    } as unknown as Partial<Schemas["RequestDetail"]>);
    await screen.findByText(/first, 500/);
    const rows = [...document.querySelectorAll(".wf > div")].slice(2).map((row) => row.textContent);
    expect(rows).toEqual([
      "cold/mSkipped. The target is left out for a time after failures.",
      expect.stringContaining("first, 500"),
      "dead/mSkipped. No connection could be opened.",
      "full/mSkipped. The target has reached one of its limits.",
      expect.stringContaining("last, 200"),
      "new/mSkipped. of_tomorrow",
    ]);
  });

  it("links to the page of the trace if there is one", async () => {
    const { unmount } = open({ trace_id: "0af7651916cd43dd8448eb211c80319c", trace_url: "https://jaeger.example/trace/0af7" });
    const link = await screen.findByRole("link", { name: "0af7651916cd43dd8448eb211c80319c" });
    expect(link).toHaveAttribute("href", "https://jaeger.example/trace/0af7");
    unmount();
    open({ trace_id: "0af7651916cd43dd8448eb211c80319c" });
    expect(await screen.findByText("0af7651916cd43dd8448eb211c80319c")).toBeVisible();
    expect(screen.queryByRole("link", { name: /0af7/ })).toBeNull();
  });

  it("says why a failed request costs a credit", async () => {
    open({ refusal: null, status: 502, credits: 1 });
    expect(await screen.findByText(/counts against the quota once it is sent/)).toBeVisible();
  });
});

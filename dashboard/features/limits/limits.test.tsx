import { screen, within } from "@testing-library/react";
import { beforeEach, describe, expect, it } from "vitest";

import type { Budget } from "@/features/budgets/use-budgets";
import { busiest, countsText, keyText, linkOf, maximumText, policyOf, whereText } from "@/features/limits/limit-words";
import { LimitsPage } from "@/features/limits/limits-page";
import type { BusyKey, RateLimit } from "@/features/limits/use-limits";
import { formatter } from "@/lib/format";
import { en } from "@/messages/en";
import { visit } from "@/tests/navigation";
import { SITE, show } from "@/tests/render";
import { type Answer, serve } from "@/tests/server";

beforeEach(() => visit("/dashboard/limits"));

const USER = { id: "u1", name: "Ada", email: "ada@example.com", plan: "starter", role: "admin", status: "active", created_at: "2026-11-01T00:00:00Z" };
const format = formatter("en");
const VALUE = { dimension: "key", value: null, id: null, label: null, owner: null };
const busy = (value: string | null, used: number, refused = 0): BusyKey => ({ values: [{ ...VALUE, dimension: "ip", value }], limit: 100, used, remaining: 100 - used, resets_at: null, refused });
const LIMIT: RateLimit = {
  kind: "rate_limit", name: "ip", route: null, dimensions: ["ip"], policy: "\"ip\";q=100;w=60", tiers: [], is_without_key: false, algorithm: "sliding_window", is_shared: false, place: "tollgate.yaml:8:5", refused: 12, overshoot: 100, unusable: 0, busy_keys: 1, keys: [busy("203.0.113.9", 93, 4)],
};

function answering(limits: Answer, budgets: Budget[] = []): void {
  serve({
    "GET /api/me": { body: { user: USER, acts_as: "admin", roles: [] } },
    "GET /api/site": { body: SITE },
    "GET /api/keys": { body: { items: [], next: null } },
    "GET /api/models": { body: { items: [], next: null } },
    "GET /api/budgets": { body: { items: budgets, next: null } },
    "GET /api/limits": limits,
  });
}

describe("the words of a limit", () => {
  it("are read from its policy", () => {
    expect(policyOf("\"ip+route\";q=20;w=3600")).toEqual({ limit: 20, windowS: 3_600 });
    const text = (policy: string | null, tiers: RateLimit["tiers"] = []) => maximumText({ ...LIMIT, policy, tiers }, en, format);
    expect([text("\"ip\";q=100;w=60"), text("\"ip\";q=5;w=90"), text("\"ip\";q=1000;w=3600"), text("\"user\";q=20;qu=\"concurrent-requests\"")]).toEqual(["100 per 1 min", "5 per 90 s", "1,000 per 1 h", "20 in flight"]);
    expect(text(null, [{ name: "free", policy: "\"user\";q=10;w=1" }, { name: "pro", policy: "\"user\";q=90;w=1" }])).toBe("free: 10 per 1 s · pro: 90 per 1 s");
    expect(text(null)).toBe("–");
    const tokens = "\"key+model:tokens\";q=200000;qu=\"tokens\";w=60";
    expect([text(tokens), countsText({ ...LIMIT, dimensions: ["key", "plan"], policy: tokens }, en)]).toEqual(["200,000 tokens per 1 min", "Tokens of each key and plan"]);
  });

  it("name the limits of plans", () => {
    const ofUsers: RateLimit = { ...LIMIT, kind: "credits_per_day", dimensions: ["user"], policy: null, tiers: [], place: null };
    expect(countsText(ofUsers, en)).toBe("Credits per day of each user");
    expect(countsText({ ...ofUsers, dimensions: ["key"] }, en)).toBe("Credits per day of each key");
    expect(countsText({ ...ofUsers, kind: "requests_per_minute" }, en)).toBe("Requests per minute of each user");
    expect(countsText({ ...ofUsers, kind: "requests_per_minute", dimensions: ["subject"] }, en)).toBe("Requests per minute of each client without a user");
    const quota: RateLimit = { ...LIMIT, kind: "credits_per_day", dimensions: ["subject"], policy: null, tiers: [{ name: "forty", policy: "\"credits_per_day\";q=40;w=86400" }], place: null };
    expect([countsText(quota, en), whereText(quota, en), maximumText(quota, en, format)]).toEqual(["Credits per day of each client without a user", "Plans and keys", "forty: 40 credits per day"]);
    expect([countsText(LIMIT, en), whereText(LIMIT, en)]).toEqual(["Requests of each client address", "All routes · tollgate.yaml:8:5"]);
  });

  it("say in words what distinguishes the counters", () => {
    const text = (...dimensions: string[]) => countsText({ ...LIMIT, dimensions }, en);
    expect([text("ip", "route"), text("header X-Tenant", "key", "route"), text("global")]).toEqual(["Requests of each client address and route", "Requests of each header X-Tenant, key and route", "All requests together"]);
    for (const dimension of ["ip", "user", "key", "client", "subject", "header", "claim", "route", "model"]) expect(en.limits.dimensions).toHaveProperty(dimension);
  });

  it("lead to the page of a user and of a key", () => {
    const of = (id: string | null, label: string | null = null) => linkOf({ dimension: "client", id, value: "x", label, owner: null });
    expect([of("u1"), of("k1", "ci"), of("k2", ""), of(null)]).toEqual(["/dashboard/users?id=u1", "/dashboard/keys?id=k1", "/dashboard/keys?id=k2", undefined]);
  });

  it("name the counted values", () => {
    const values = [{ ...VALUE, dimension: "header x-api-key" }, { ...VALUE, dimension: "route", value: "users" }];
    expect([keyText({ ...busy("a", 1), values }, en), keyText({ ...busy("", 1), values: [{ ...VALUE, dimension: "global", value: "" }] }, en)]).toEqual(["hidden · users", "all requests"]);
    expect(keyText({ values: [{ ...VALUE, value: "…0f97", id: "k1", label: "ci" }] }, en)).toBe("ci …0f97");
  });

  it("order the keys of all limits by their use", () => {
    const other = { ...LIMIT, keys: [busy("b", 99), busy("c", 93, 9)] };
    expect(busiest([LIMIT, other]).map(({ busy: { values } }) => values[0]?.value)).toEqual(["b", "c", "203.0.113.9"]);
    expect(new Set(busiest([{ ...LIMIT, keys: [busy(null, 1), busy(null, 2)] }]).map(({ id }) => id)).size).toBe(2);
  });
});

describe("LimitsPage", () => {
  it("shows the limits and the keys that are near them", async () => {
    answering({ body: { is_live: true, is_shared: false, items: [LIMIT], next: null } });
    show(<LimitsPage />);
    const keys = await screen.findByRole("table", { name: "Keys near their limit" });
    expect(within(keys).getByRole("row", { name: /203\.0\.113\.9.*93 of 100.*7.*4/ })).toBeVisible();
    expect(within(keys).getByRole("meter")).toHaveAttribute("aria-valuenow", "93");
    expect(within(screen.getByRole("table", { name: "Rate limits" })).getByRole("row", { name: /Requests of each client address.*100 per 1 min.*Sliding window.*This process.*1.*12/ })).toBeVisible();
  });

  it("shows keys and clients without a user that are near the limits of their plans", async () => {
    const near = (value: string, used: number): BusyKey => ({ ...busy(value, used), refused: null });
    const rates: RateLimit = { ...LIMIT, kind: "requests_per_minute", name: "requests_per_minute", policy: null, refused: null, keys: [near("…9f3c", 40)] };
    const quotas: RateLimit = { ...rates, kind: "credits_per_day", name: "credits_per_day", algorithm: "daily", keys: [near("acme (partners)", 80)] };
    answering({ body: { is_live: true, is_shared: false, items: [rates, quotas], next: null } });
    show(<LimitsPage />);
    const keys = await screen.findByRole("table", { name: "Keys near their limit" });
    expect(within(keys).getByRole("row", { name: /acme \(partners\).*Credits per day of each client without a user.*80 of 100.*20.*–/ })).toBeVisible();
    expect(within(screen.getByRole("table", { name: "Rate limits" })).getByRole("row", { name: /Credits per day of each client without a user.*Per UTC day.*–/ })).toBeVisible();
  });

  it("shows the budgets of which most is used, also those over their limit", async () => {
    const budget: Budget = { dimension: "user", id: "u7", name: "bob@example.com", per: "month", money: "0.05 USD", used: { amount_nano: 210_000_000, currency: "USD" }, remaining: { amount_nano: 0, currency: "USD" }, resets_at: "2026-12-01T00:00:00Z", source: "api" };
    const idle: Budget = { ...budget, id: "u8", name: "idle@example.com", money: "9 USD" };
    answering({ body: { is_live: true, is_shared: false, items: [LIMIT], next: null } }, [idle, budget]);
    show(<LimitsPage />);
    const table = await screen.findByRole("table", { name: "Budgets near their limit" });
    expect(within(table).getByRole("row", { name: /bob@example\.com.*\$0\.21 of \$0\.05/ })).toBeVisible();
    expect(within(table).getByRole("link", { name: "bob@example.com" })).toHaveAttribute("href", "/dashboard/users?id=u7");
    expect(within(table).queryByText("idle@example.com")).toBeNull();
  });

  it("names the owner of a key with links, and no raw words", async () => {
    const values = [{ dimension: "key", value: "…0f97", id: "k9", label: "ci", owner: { id: "u7", name: "bob@example.com" } }];
    const rate: RateLimit = { ...LIMIT, kind: "requests_per_minute", name: "requests_per_minute", dimensions: ["key"], keys: [{ ...busy(null, 59), values }] };
    answering({ body: { is_live: true, is_shared: false, items: [rate], next: null } });
    const { container } = show(<LimitsPage />);
    const table = await screen.findByRole("table", { name: "Keys near their limit" });
    expect(within(table).getByRole("link", { name: "ci …0f97" })).toHaveAttribute("href", "/dashboard/keys?id=k9");
    expect(within(table).getByRole("link", { name: "bob@example.com" })).toHaveAttribute("href", "/dashboard/users?id=u7");
    expect(container.innerHTML).not.toContain("requests_per_minute");
  });

  it("says that another process counts", async () => {
    answering({ body: { is_live: false, is_shared: false, items: [{ ...LIMIT, keys: [] }], next: null } });
    show(<LimitsPage />);
    expect(await screen.findByText("Another process serves the proxy")).toBeVisible();
    expect(screen.queryByText("No key is near a limit")).toBeNull();
  });

  it("says that nothing is limited, that no key is near a limit, and that the server failed", async () => {
    answering({ body: { is_live: true, is_shared: false, items: [], next: null } });
    const { unmount } = show(<LimitsPage />);
    expect(await screen.findByText("No rate limit")).toBeVisible();
    unmount();
    answering({ body: { is_live: true, is_shared: true, items: [{ ...LIMIT, keys: [] }], next: null } });
    const quiet = show(<LimitsPage />);
    expect(await screen.findByText("No key is near a limit")).toBeVisible();
    expect(screen.getByText(/Nodes share these limits through Redis/)).toBeVisible();
    quiet.unmount();
    answering({ status: 500, body: { error: { code: "internal", message: "x", status: 500 } } });
    show(<LimitsPage />);
    expect(await screen.findByText("The server failed (500)")).toBeVisible();
  });
});

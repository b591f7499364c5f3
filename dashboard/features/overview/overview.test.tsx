import { screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { matters } from "@/features/overview/attention";
import { Limits, moneyBudget, passedOf } from "@/features/overview/limits";
import { TopKeys } from "@/features/overview/top-lists";
import { emptyTitle } from "@/features/usage/series";
import { formatter } from "@/lib/format";
import type { Overview } from "@/lib/queries";
import { en } from "@/messages/en";
import { show } from "@/tests/render";
import { serve } from "@/tests/server";

const NOW = new Date("2026-11-21T12:00:00Z");
const tokens = { input: 0, cached_input: 0, cache_write: 0, output: 0, reasoning: 0, total: 0 };
const figures = { requests: 3, credits: 3, tokens, cost: { amount_nano: 1_500_000_000, currency: "USD" }, unpriced_requests: 0 };
const usd = (amount_nano: number) => ({ amount_nano, currency: "USD" });

function overview(change: Partial<Overview> = {}): Overview {
  return {
    user: { id: "1", kind: "person", name: "Ada", email: "ada@example.com", plan: "starter", role: "member", status: "active", created_at: "2026-11-01T00:00:00Z" },
    plan: { name: "starter", credits_per_day: 1000, requests_per_minute: 60 },
    quota: { limit: 1000, used: 3, remaining: 997, resets_at: "2026-11-22T00:00:00Z" },
    budgets: [],
    today: { ...figures, date: "2026-11-21", pending_credits: 0 },
    month: { ...figures, since: "2026-11-01" },
    keys: [],
    models: [],
    latency: { basis: "newest_requests", requests: 0, p50_ms: null, p95_ms: null },
    errors: { today: 0, refused: 0, requests: 3, rate: 0 },
    recent: [],
    ...change,
  };
}

function titles(change: Partial<Overview>): string[] {
  return matters(overview(change), { t: en, format: formatter("en"), now: NOW }).map(({ title }) => title);
}

/** A budget of 10 nano-USD a day, of which `used` are used. */
function budget(used: number): Overview["budgets"][number] {
  return { dimension: "user", per: "day", money: "0.00000001 USD", used: usd(used), remaining: usd(10 - used), resets_at: "", source: "api" };
}

describe("matters", () => {
  it("is empty if all is well", () => {
    expect(titles({})).toEqual([]);
  });

  it("lists what stops calls first", () => {
    const key = { id: "k", label: "ci", prefix: "acme", last4: "0000", created_at: "", expires_at: "2026-11-22T11:00:00Z", revoked_at: null, today: figures, month: figures };
    const found = titles({
      keys: [key],
      quota: { limit: 10, used: 10, remaining: 0, resets_at: "2026-11-22T00:00:00Z" },
      budgets: [{ dimension: "user", per: "month", money: "10 USD", used: usd(8_500_000_000), remaining: usd(1_500_000_000), resets_at: "2026-12-01T00:00:00Z", source: "api" }],
      errors: { today: 5, refused: 9, requests: 20, rate: 0.25 },
    });
    expect(found).toEqual(["The credits of today are used up", "A budget is nearly used up", "Key “ci” expires in 23 h 0 min", "25.0 % of today's requests failed"]);
  });
});

describe("a key that expires", () => {
  it("of another user is named with the user, to whom its link leads", () => {
    const key = { id: "k", label: "ci", prefix: "acme", last4: "0000", created_at: "", expires_at: "2026-11-22T11:00:00Z", revoked_at: null, today: figures, month: figures };
    const found = matters(overview({ keys: [key, { ...key, user: { id: "u2", name: "Budi" } }] }), { t: en, format: formatter("en"), now: NOW });
    expect(found.map(({ link }) => link?.href)).toEqual(["/dashboard/keys", "/dashboard/users?id=u2"]);
    expect(found[1]?.title).toBe("Key “ci · Budi” expires in 23 h 0 min");
  });
});

describe("emptyTitle", () => {
  it("says that there were no requests only if that is so", () => {
    expect((["spend", "tokens", "latency", "requests", "errors"] as const).map((measure) => emptyTitle(measure, true, en))).toEqual([
      "Nothing was spent in this range", "No tokens in this range", "No durations in this range", "No requests in this range", "No failed requests in this range",
    ]);
    expect(emptyTitle("spend", false, en)).toBe("No requests in this range");
  });
});

describe("Limits", () => {
  it("shows the tightest budget of money", () => {
    expect(moneyBudget([budget(1), budget(5)], "day")).toMatchObject({ used: 5, limit: 10 });
    expect(moneyBudget([budget(1), { ...budget(0), money: "0 USD" }], "day")).toMatchObject({ used: 0, limit: 0 });
    expect(moneyBudget([budget(1)], "month")).toBeUndefined();
    expect(moneyBudget([{ ...budget(1), used: 4, money: null }], "day")).toBeUndefined();
  });

  it("shows an amount over its limit as over, and the limit as it is set", () => {
    const spent = { ...budget(0), money: "0.05 USD", used: usd(210_000_000), remaining: usd(0), resets_at: "2026-11-22T00:00:00Z" };
    const over = overview({ budgets: [spent], quota: { limit: 10, used: 12, remaining: 0, resets_at: "2026-11-22T00:00:00Z" } });
    show(<Limits overview={over} />);
    expect(screen.getByText("Budget: $0.21 of $0.05")).toBeVisible();
    expect(screen.getAllByText("$1.50")).toHaveLength(2);
    expect(screen.getByText(/^\$0\.16 over the limit · resets in/)).toHaveClass("bad");
    expect(screen.getByText(/^2 over the limit/)).toHaveClass("bad");
    expect(screen.getByText("of 10")).toBeVisible();
    expect(titles({ budgets: [spent] })).toEqual(["A budget is exceeded"]);
  });

  it("shows the known cost as the spend, and reservations of calls of unknown cost beside it", () => {
    const unknown = (charged: number) => ({ ...figures, unpriced_requests: 19, charged: usd(1_500_000_000 + charged) });
    const seen = serve({ "GET /api/me": { status: 401 } });
    const held = { ...budget(0), money: "5 USD", used: usd(1_870_000_000), remaining: usd(0), resets_at: "2026-11-22T00:00:00Z" };
    show(<Limits overview={overview({ today: { ...unknown(370_000_000), date: "2026-11-21", pending_credits: 0 }, month: { ...unknown(870_000_000), since: "2026-11-01" }, budgets: [held] })} />);
    expect(screen.getByText("+ $0.37 reserved for 19 calls of unknown cost")).toBeVisible();
    expect(screen.getByText("+ $0.87 reserved for 19 calls of unknown cost")).toBeVisible();
    expect(screen.getByText("Budget: $1.87 of $5.00")).toBeVisible();
    expect(screen.getAllByText("$1.50")).toHaveLength(2);
    expect(seen.some(({ line }) => line.includes("history"))).toBe(false);
  });

  it("shows a budget of others as one", () => {
    serve({ "GET /api/me": { status: 401 } });
    const of = (dimension: "user" | "global", used: number) => ({ ...budget(0), dimension, money: "5 USD", used: usd(used), remaining: usd(0), resets_at: "2026-11-22T00:00:00Z" });
    const { unmount } = show(<Limits overview={overview({ budgets: [of("user", 1_500_000_000)] })} />);
    expect(screen.getByText("of $5.00")).toBeVisible();
    unmount();
    show(<Limits overview={overview({ budgets: [of("global", 4_000_000_000)] })} />);
    expect(screen.getByText("Budget of all users: $4.00 of $5.00")).toBeVisible();
  });

  it("knows the part of a period that has passed", () => {
    expect(passedOf("2026-11-22T00:00:00Z", "day", NOW)).toBe(0.5);
    expect(passedOf("2026-12-01T00:00:00Z", "month", new Date("2026-11-16T00:00:00Z"))).toBe(0.5);
    expect(passedOf("2026-11-22T00:00:00Z", "day", new Date("2026-11-23T00:00:00Z"))).toBe(1);
  });

  it("says that no limit is set, and draws a skeleton while loading", () => {
    const { unmount } = show(<Limits overview={overview({ quota: { limit: null, used: 3, remaining: null, resets_at: "" } })} />);
    expect(screen.getByText("No quota")).toBeVisible();
    expect(screen.getAllByText("No budget")).toHaveLength(2);
    unmount();
    show(<Limits overview={undefined} />);
    expect(screen.getByLabelText("Limits")).toHaveAttribute("aria-busy");
  });
});

describe("TopKeys", () => {
  it("leads a user without keys to the first one", () => {
    show(<TopKeys overview={overview()} isAdmin={false} isOwn />);
    expect(screen.getByRole("link", { name: "Create key" })).toHaveAttribute("href", "/dashboard/keys?create=1");
    expect(screen.getByRole("link", { name: "All keys" })).toBeVisible();
  });

  it("of others do not lead to the reader's own keys", () => {
    show(<TopKeys overview={overview()} isAdmin isOwn={false} />);
    expect(screen.queryByRole("link", { name: "All keys" })).toBeNull();
  });
});

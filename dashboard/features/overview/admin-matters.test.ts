import { describe, expect, it } from "vitest";

import { type AdminFacts, adminMatters } from "@/features/overview/admin-matters";
import { formatter } from "@/lib/format";
import { en } from "@/messages/en";

const NOW = new Date("2026-11-21T12:00:00Z");

function titles(facts: unknown): string[] {
  return adminMatters(facts as AdminFacts, { t: en, format: formatter("en"), now: NOW }).map(({ title }) => title);
}

describe("adminMatters", () => {
  it("is empty if nothing was read, and if all is well", () => {
    const backend = { url: "http://b", weight: 1, state: "available" };
    const review = { id: "r", date: "2026-11-20", state: "approved", complete: true, required: [{ role: "finance" }] };
    const invoice = { user: { name: "Budi" }, invoice: { due_at: "2026-12-01T00:00:00Z" } };
    expect(titles({})).toEqual([]);
    expect(titles({ upstreams: [{ name: "users", kind: "upstream", backends: [backend] }], budgets: [], webhooks: [{ enabled: true }], invoices: [invoice], review })).toEqual([]);
  });

  it("names dead backends, full budgets, webhooks that are off, overdue invoices, and a day without approval", () => {
    const [up, down] = [{ url: "http://a", weight: 1, state: "available" }, { url: "http://b", weight: 1, state: "unhealthy" }];
    const upstreams = [{ name: "users", kind: "upstream", backends: [down] }, { name: "shop", kind: "upstream", backends: [up, down] }];
    const money = (amount_nano: number) => ({ amount_nano, currency: "USD" });
    const budget = { dimension: "user", id: "u", name: "ada@example.com", per: "day", money: "1 USD", used: money(950_000_000), remaining: money(50_000_000), resets_at: "", source: "api" };
    const webhooks = [{ id: "w", url: "https://shop.example.com/hook", enabled: false, disabled_at: "2026-11-20T00:00:00Z" }];
    const invoices = [{ user: { name: "Budi" }, invoice: { due_at: "2026-11-01T00:00:00Z" } }, { user: { name: "Ada" }, invoice: { due_at: null } }];
    const review = { id: "r", date: "2026-11-20", state: "ready", complete: true, required: [{ role: "finance" }] };
    expect(titles({ upstreams, budgets: [budget], webhooks, invoices, review })).toEqual([
      "No backend of users is available",
      "A backend of shop is not available",
      "A budget is nearly or fully used",
      "Events are not delivered to https://shop.example.com/hook",
      "An invoice is overdue",
      expect.stringMatching(/^The figures of .*20 Nov 2026 wait for approval$/),
    ]);
  });
});

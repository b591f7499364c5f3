import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";

import { BillingPage } from "@/features/billing/billing-page";
import { chargeText, invoiceState } from "@/features/billing/billing-words";
import { formatter } from "@/lib/format";
import { en } from "@/messages/en";
import { SITE, show } from "@/tests/render";
import { refusal, serve } from "@/tests/server";

const push = vi.hoisted(() => vi.fn());
vi.mock("next/navigation", () => ({ useRouter: () => ({ push, replace: () => undefined }), usePathname: () => "/dashboard/billing", useSearchParams: () => new URLSearchParams() }));

const ME = { user: { id: "u1", name: "Ada", email: "ada@example.com", plan: "starter", role: "member", kind: "person", status: "active", created_at: "2026-11-01T00:00:00Z" }, acts_as: "member", session_id: "s", key_id: null };
const rupiah = (amount: number) => ({ amount, currency: "IDR" });
const LIMITS = { credits_per_day: 10000, requests_per_minute: 300, budgets: [], shared_keys: true, created_at: "2026-11-20T08:03:52Z", updated_at: "2026-11-20T08:03:52Z" };
const PRO = { ...LIMITS, id: "p1", name: "pro", for_sale: true, price: rupiah(150_000), interval: "month", trial_days: 0, charges: [], version: 1 };
const STARTER = { ...PRO, id: "p2", name: "starter", price: rupiah(0) };
const HIDDEN = { ...LIMITS, id: "p3", name: "internal", for_sale: false, price: null, interval: null, trial_days: null, charges: null, version: null };
const SUBSCRIPTION = { id: "s1", state: "pending", access: "fallback", plan: "pro", version: 1, price: rupiah(150_000), interval: "month", period: { first_day: "2026-11-20", last_day: "2026-12-19" }, next_invoice_on: "2026-12-20", trial_last_day: null, cancel_at_end: false, next_plan: null, wallet: rupiah(2_500) };
const OPEN = { id: "i1", number: "INV-2026-000001", kind: "period", state: "open", period: SUBSCRIPTION.period, currency: "IDR", subtotal: rupiah(150_000), tax: null, total: rupiah(150_000), remaining: rupiah(150_000), due_at: "2026-11-27T12:00:00Z", issued_at: "2026-11-20T12:00:00Z", tax_invoice_number: null };
const COMMON = { "GET /api/site": { body: { ...SITE, billing: true } }, "GET /api/me": { body: ME }, "GET /api/plans": { body: { items: [HIDDEN, PRO, STARTER], next: null } } };

describe("the page of billing", () => {
  it("offers the plans that are for sale, and opens the payment of the first invoice", async () => {
    const seen = serve({ ...COMMON, "GET /api/subscription": refusal("not_found", 404), "GET /api/invoices": { body: { items: [], next: null } }, "POST /api/subscription": { status: 201, body: { ...SUBSCRIPTION, invoice_id: "i1" } } });
    show(<BillingPage />);
    const names = (await screen.findAllByRole("heading", { level: 3 })).map(({ textContent }) => textContent);
    expect(names).toEqual(["starter", "pro"]);
    fireEvent.click(await screen.findByRole("button", { name: "Subscribe to pro" }));
    const dialog = screen.getByRole("dialog", { name: "Subscribe to pro" });
    expect(dialog).toHaveTextContent("IDR 150,000 per month");
    fireEvent.click(within(dialog).getByRole("button", { name: "Subscribe to pro" }));
    await waitFor(() => expect(push).toHaveBeenCalledWith("/dashboard/pay?id=i1"));
    expect(seen.find(({ line }) => line === "POST /api/subscription")?.body).toEqual({ plan: "pro" });
  });

  it("says what must be paid, and what happens until then", async () => {
    serve({ ...COMMON, "GET /api/subscription": { body: SUBSCRIPTION }, "GET /api/invoices": { body: { items: [OPEN], next: null } } });
    show(<BillingPage />);
    const note = await screen.findByRole("alert");
    expect(note).toHaveTextContent("Invoice INV-2026-000001 is open: IDR 150,000");
    expect(note).toHaveTextContent("Until the invoice is paid, the limits of the fallback plan apply.");
    expect(within(note).getByRole("link", { name: "Pay invoice INV-2026-000001" })).toHaveAttribute("href", "/dashboard/pay?id=i1");
    expect(screen.getByText("Waits for payment")).toBeVisible();
    expect(screen.getByText("IDR 2,500")).toBeVisible();
    expect(screen.queryByRole("button", { name: /Subscribe/ })).toBeNull();
  });

  it("keeps the dialog with the reason of a refusal", async () => {
    serve({ ...COMMON, "GET /api/subscription": refusal("not_found", 404), "GET /api/invoices": { body: { items: [], next: null } }, "POST /api/subscription": refusal("conflict", 409, "the user has a subscription") });
    show(<BillingPage />);
    fireEvent.click(await screen.findByRole("button", { name: "Subscribe to starter" }));
    fireEvent.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Subscribe to starter" }));
    expect(await within(screen.getByRole("dialog")).findByText("the user has a subscription")).toBeVisible();
  });

  it("sends no requests about billing to a server that sells nothing", async () => {
    const seen = serve({ "GET /api/site": { body: SITE }, "GET /api/me": { body: ME } });
    show(<BillingPage />);
    expect(await screen.findByText("This server sells no plans")).toBeVisible();
    expect(seen.some(({ line }) => /subscription|invoices|plans/.test(line))).toBe(false);
    expect(screen.queryByRole("link", { name: "Billing" })).toBeNull();
  });
});

describe("the words of billing", () => {
  const base = { name: "Usage", models: [], included: 0 };
  it.each([
    ["IDR 0.5 per credit", { ...base, metric: "credits", model: "per_unit", unit_price: "0.5" }],
    ["1,000 tokens included, then IDR 250 per 1,000 tokens", { ...base, metric: "tokens", included: 1000, model: "package", size: 1000, unit_price: "250" }],
    ["IDR 2 per request up to 10, then IDR 1 per request", { ...base, metric: "requests", model: "tiered", tiers: [{ up_to: 10, unit_price: "2" }, { up_to: null, unit_price: "1" }] }],
    ["$5.00 included, then the cost of LLM calls plus 20.0 %", { ...base, metric: "cost", included: 5_000_000_000, model: "cost", markup_percent: 20 }],
    ["the cost of LLM calls", { ...base, metric: "cost", model: "cost", markup_percent: 0 }],
  ] as const)("are %s", (text, charge) => {
    expect(chargeText({ ...charge, models: [], tiers: "tiers" in charge ? [...charge.tiers] : [] }, "IDR", en, formatter("en"))).toBe(text);
  });

  it("call an open invoice overdue after its time", () => {
    const due = "2026-11-27T12:00:00Z";
    expect(invoiceState({ state: "open", due_at: due }, new Date("2026-11-27T11:59:59Z"), en)).toEqual(["warn", "Open"]);
    expect(invoiceState({ state: "open", due_at: due }, new Date("2026-11-27T12:00:01Z"), en)).toEqual(["bad", "Overdue"]);
    expect(invoiceState({ state: "paid", due_at: due }, new Date("2027-01-01T00:00:00Z"), en)).toEqual(["ok", "Paid"]);
    expect(invoiceState({ state: "unknown", due_at: null }, new Date(), en)).toEqual(["", "unknown"]);
  });
});

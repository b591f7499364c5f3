import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { beforeEach, describe, expect, it } from "vitest";

import { BillingPage } from "@/features/billing/billing-page";
import { chargeText, invoiceState } from "@/features/billing/billing-words";
import { InvoicesPage } from "@/features/invoices/invoices-page";
import { formatter } from "@/lib/format";
import { en } from "@/messages/en";
import { router, visit } from "@/tests/navigation";
import { SITE, show } from "@/tests/render";
import { refusal, serve } from "@/tests/server";

beforeEach(() => visit("/dashboard/billing"));

const ME = { user: { id: "u1", name: "Ada", email: "ada@example.com", plan: "starter", role: "member", kind: "person", status: "active", created_at: "2026-11-01T00:00:00Z" }, acts_as: "member", roles: [], session_id: "s", key_id: null };
const rupiah = (amount: number) => ({ amount, currency: "IDR" });
const LIMITS = { credits_per_day: 10000, requests_per_minute: 300, budgets: [], shared_keys: true, created_at: "2026-11-20T08:03:52Z", updated_at: "2026-11-20T08:03:52Z" };
const PRO = { ...LIMITS, id: "p1", name: "pro", for_sale: true, price: rupiah(150_000), interval: "month", trial_days: 0, charges: [], version: 1 };
const STARTER = { ...PRO, id: "p2", name: "starter", price: rupiah(0) };
const HIDDEN = { ...LIMITS, id: "p3", name: "internal", for_sale: false, price: null, interval: null, trial_days: null, charges: null, version: null };
const SUBSCRIPTION = { id: "s1", state: "pending", access: "fallback", plan: "pro", version: 1, price: rupiah(150_000), interval: "month", period: { first_day: "2026-11-20", last_day: "2026-12-19" }, next_invoice_on: "2026-12-20", trial_last_day: null, cancel_at_end: false, next_plan: null, wallet: rupiah(2_500) };
const OPEN = { id: "i1", number: "INV-2026-000001", kind: "period", state: "open", period: SUBSCRIPTION.period, currency: "IDR", subtotal: rupiah(150_000), tax: null, total: rupiah(150_000), remaining: rupiah(150_000), due_at: "2026-11-27T12:00:00Z", issued_at: "2026-11-20T12:00:00Z", tax_invoice_number: null };
const COMMON = { "GET /api/site": { body: { ...SITE, billing: true } }, "GET /api/me": { body: ME }, "GET /api/plans": { body: { items: [HIDDEN, PRO, STARTER], next: null } }, "GET /api/wallet": { body: { balance: rupiah(2_500), entries: [], next: null } } };

describe("the page of billing", () => {
  it("offers the plans that are for sale, and opens the payment of the first invoice", async () => {
    const seen = serve({ ...COMMON, "GET /api/subscription": [refusal("not_found", 404), { body: SUBSCRIPTION }], "GET /api/invoices": { body: { items: [], next: null } }, "POST /api/subscription": { status: 201, body: { ...SUBSCRIPTION, invoice_id: "i1" } } });
    show(<BillingPage />);
    const names = (await screen.findAllByRole("heading", { level: 3 })).map(({ textContent }) => textContent);
    expect(names).toEqual(["starter", "pro"]);
    fireEvent.click(await screen.findByRole("button", { name: "Subscribe to pro" }));
    const dialog = screen.getByRole("dialog", { name: "Subscribe to pro" });
    expect(dialog).toHaveTextContent("IDR 150,000 per month");
    fireEvent.click(within(dialog).getByRole("button", { name: "Subscribe to pro" }));
    await waitFor(() => expect(router.push).toHaveBeenCalledWith("/dashboard/pay?id=i1"));
    expect(seen.find(({ line }) => line === "POST /api/subscription")?.body).toEqual({ plan: "pro" });
    // The new subscription is read before the page of the payment is open.
    expect(await screen.findByText("Subscribed")).toBeInTheDocument();
    expect(screen.getByRole("dialog", { name: "Subscribe to pro" })).toBeVisible();
  });

  it("says what must be paid, and what happens until then", async () => {
    serve({ ...COMMON, "GET /api/subscription": { body: SUBSCRIPTION }, "GET /api/invoices": { body: { items: [OPEN], next: null } } });
    show(<BillingPage />);
    const note = await screen.findByRole("alert");
    expect(note).toHaveTextContent("Invoice INV-2026-000001 is open: IDR 150,000");
    expect(note).toHaveTextContent("Until the invoice is paid, the limits of the fallback plan apply.");
    expect(within(note).getByRole("link", { name: "Pay invoice INV-2026-000001" })).toHaveAttribute("href", "/dashboard/pay?id=i1");
    expect(screen.getByText("Awaiting payment")).toBeVisible();
    expect(screen.getAllByText("IDR 2,500")[0]).toBeVisible();
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

describe("a change of the subscription", () => {
  const ACTIVE = { ...SUBSCRIPTION, state: "active", access: "plan" };
  const line = (no: number, text: string, amount: number) => ({ no, kind: "proration", text, quantity: 1, unit: "period", unit_price: null, amount: rupiah(amount), first_day: "2026-12-11", last_day: "2026-12-19" });
  const NONE = { "GET /api/invoices": { body: { items: [], next: null } } };

  it("shows its invoice, and leads to the payment of an upgrade", async () => {
    const business = { ...PRO, id: "p4", name: "business", price: rupiah(1_500_000) };
    const seen = serve({
      ...COMMON, ...NONE, "GET /api/subscription": { body: ACTIVE }, "GET /api/plans": { body: { items: [PRO, business], next: null } },
      "POST /api/subscription/preview": { body: { lines: [line(1, "pro", -101_613), line(2, "business", 1_016_129)], subtotal: rupiah(914_516), tax: null, total: rupiah(914_516), applies_on: "2026-12-11" } },
      "POST /api/subscription/change": { body: { ...ACTIVE, invoice_id: "i9" } },
    });
    show(<BillingPage />);
    fireEvent.click(await screen.findByRole("button", { name: "Change to business" }));
    const dialog = screen.getByRole("dialog", { name: "Change to business" });
    expect(await within(dialog).findByRole("row", { name: /pro.*-IDR 101,613/ })).toBeVisible();
    expect(dialog).toHaveTextContent("The plan applies as soon as it is paid");
    fireEvent.click(within(dialog).getByRole("button", { name: "Change to business" }));
    await waitFor(() => expect(router.push).toHaveBeenCalledWith("/dashboard/pay?id=i9"));
    expect(seen.find(({ line }) => line === "POST /api/subscription/change")?.body).toEqual({ plan: "business" });
  });

  it("says that a downgrade waits for the next period, and takes it back", async () => {
    const seen = serve({
      ...COMMON, ...NONE, "GET /api/subscription": [{ body: ACTIVE }, { body: { ...ACTIVE, next_plan: "starter" } }],
      "POST /api/subscription/preview": { body: { lines: [line(1, "starter", 0)], subtotal: rupiah(0), tax: null, total: rupiah(0), applies_on: "2026-12-20" } },
      "POST /api/subscription/change": { body: { ...ACTIVE, next_plan: "starter", invoice_id: null } },
    });
    show(<BillingPage />);
    fireEvent.click(await screen.findByRole("button", { name: "Change to starter" }));
    expect(await within(screen.getByRole("dialog")).findByText("The plan begins on 20 Dec 2026, with this invoice. You do not pay anything before.")).toBeVisible();
    fireEvent.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Change to starter" }));
    expect(await screen.findByText("Begins on 20 Dec 2026")).toBeVisible();
    fireEvent.click(screen.getByRole("button", { name: "Keep pro" }));
    fireEvent.click(within(screen.getByRole("dialog")).getByRole("button", { name: "Keep pro" }));
    await waitFor(() => expect(seen.filter(({ line }) => line === "POST /api/subscription/change").at(-1)?.body).toEqual({ plan: "pro" }));
  });

  it("ends it with the period or now, and takes the end back", async () => {
    const ended = { ...ACTIVE, cancel_at_end: true, next_invoice_on: null };
    const seen = serve({ ...COMMON, ...NONE, "GET /api/subscription": [{ body: ACTIVE }, { body: ended }], "POST /api/subscription/cancel": { body: ended }, "POST /api/subscription/resume": refusal("conflict", 409, "it has ended") });
    show(<BillingPage />);
    fireEvent.click(await screen.findByRole("button", { name: "Cancel subscription" }));
    const dialog = screen.getByRole("dialog", { name: "Cancel the subscription to pro?" });
    expect(within(dialog).getByRole("radio", { name: /At the end of the period, on 19 Dec 2026/ })).toBeChecked();
    fireEvent.click(within(dialog).getByRole("radio", { name: /Now/ }));
    fireEvent.click(within(dialog).getByRole("button", { name: "Cancel subscription" }));
    fireEvent.click(await screen.findByRole("button", { name: "Resume subscription" }));
    expect(await screen.findByText("it has ended")).toBeVisible();
    expect(screen.getByText("The subscription ends on 19 Dec 2026")).toBeVisible();
    expect(seen.find(({ line }) => line === "POST /api/subscription/cancel")?.body).toEqual({ at: "now" });
  });

  it("ends now if the first invoice waits", async () => {
    const seen = serve({ ...COMMON, ...NONE, "GET /api/subscription": { body: SUBSCRIPTION }, "POST /api/subscription/cancel": { body: { ...SUBSCRIPTION, state: "cancelled" } } });
    show(<BillingPage />);
    fireEvent.click(await screen.findByRole("button", { name: "Cancel subscription" }));
    const dialog = screen.getByRole("dialog", { name: "Cancel the subscription to pro?" });
    expect(dialog).toHaveTextContent("The subscription ends now, and its first invoice becomes void.");
    expect(within(dialog).queryByRole("radio")).toBeNull();
    fireEvent.click(within(dialog).getByRole("button", { name: "Cancel subscription" }));
    await waitFor(() => expect(seen.find(({ line }) => line === "POST /api/subscription/cancel")?.body).toEqual({ at: "now" }));
  });

  it("is not offered while the first invoice waits", async () => {
    serve({ ...COMMON, ...NONE, "GET /api/subscription": { body: SUBSCRIPTION } });
    show(<BillingPage />);
    expect(await screen.findByText("Subscribed")).toBeVisible();
    expect(screen.queryByRole("button", { name: /Change to/ })).toBeNull();
  });
});

describe("the list of invoices", () => {
  it("keeps its rows and says why no more were read", async () => {
    serve({ ...COMMON, "GET /api/subscription": { body: SUBSCRIPTION }, "GET /api/invoices": [{ body: { items: [OPEN], next: "c2" } }, refusal("unavailable", 503), { body: { items: [{ ...OPEN, id: "i0", number: "INV-2026-000000" }], next: null } }] });
    show(<InvoicesPage />);
    fireEvent.click(await screen.findByRole("button", { name: en.invoices.more }));
    expect(await screen.findByRole("alert")).toHaveTextContent("503");
    expect(screen.getByText("INV-2026-000001")).toBeVisible();
    fireEvent.click(screen.getByRole("button", { name: en.invoices.more }));
    expect(await screen.findByText("INV-2026-000000")).toBeVisible();
    expect(screen.queryByRole("alert")).toBeNull();
  });
});

describe("the wallet", () => {
  it("lists its entries, and asks for whole rupiah of a top-up", async () => {
    const entry = { amount: rupiah(-2_500), reason: "invoice.paid_from_wallet", invoice_id: "i1", payment_id: null, at: "2026-11-20T12:00:00Z" };
    serve({ ...COMMON, "GET /api/invoices": { body: { items: [], next: null } }, "GET /api/subscription": { body: SUBSCRIPTION }, "GET /api/wallet": { body: { balance: rupiah(5_000), entries: [entry], next: null } } });
    show(<BillingPage />);
    expect(await screen.findByRole("row", { name: /20 Nov 2026.*Invoice paid.*-IDR 2,500/ })).toBeVisible();
    fireEvent.click(screen.getByRole("button", { name: "Top up wallet" }));
    const dialog = await screen.findByRole("dialog", { name: "Top up wallet" });
    const amount = within(dialog).getByLabelText("Amount");
    fireEvent.change(amount, { target: { value: "100.000" } });
    fireEvent.click(within(dialog).getByRole("button", { name: "Choose how to pay" }));
    expect(await within(dialog).findByText("Enter whole rupiah, at least 1, without dots")).toBeVisible();
    fireEvent.change(amount, { target: { value: "100000" } });
    fireEvent.click(within(dialog).getByRole("button", { name: "Choose how to pay" }));
    await waitFor(() => expect(router.push).toHaveBeenCalledWith("/dashboard/pay?topup=100000"));
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
    expect(invoiceState({ state: "unknown" as "open", due_at: null }, new Date(), en)).toEqual(["", "unknown"]);
  });
});

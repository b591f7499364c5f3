import { fireEvent, screen, waitFor } from "@testing-library/react";
import { beforeEach, describe, expect, it } from "vitest";

import { rateText } from "@/features/invoices/invoice-lines";
import { paymentState } from "@/features/invoices/payment-words";
import { PayPage } from "@/features/pay/pay-page";
import { isPayable, secondsLeft, shownPayment } from "@/features/pay/pay-state";
import { formatter } from "@/lib/format";
import { en } from "@/messages/en";
import { address, router, visit } from "@/tests/navigation";
import { SITE, show } from "@/tests/render";
import { refusal, serve } from "@/tests/server";

const ME = { user: { id: "u1", name: "Ada", email: "ada@example.com", plan: "starter", role: "member", kind: "person", status: "active", created_at: "2026-11-01T00:00:00Z" }, acts_as: "member", roles: [], session_id: "s", key_id: null };
const rupiah = (amount: number) => ({ amount, currency: "IDR" });
const SOON = new Date(Date.now() + 600_000).toISOString();
const PAST = new Date(Date.now() - 600_000).toISOString();
const QRIS = { id: "p1", state: "pending" as const, method: "qris" as const, order_id: "TG-1", amount: rupiah(166_500), refunded: { amount: 0, currency: "IDR" }, expires_at: SOON, qr_text: "00020101021226620014COM.GO-JEK.WWW" };
const LINE = { no: 1, kind: "plan", text: "pro", quantity: 1, unit: "period", unit_price: null, amount: rupiah(150_000), first_day: "2026-11-20", last_day: "2026-12-19" };
const INVOICE = { id: "i1", number: "INV-2026-000001", kind: "period", state: "open", period: { first_day: "2026-11-20", last_day: "2026-12-19" }, currency: "IDR", subtotal: rupiah(150_000), tax: { name: "PPN", base: rupiah(137_500), rate: "12%", amount: rupiah(16_500) }, total: rupiah(166_500), remaining: rupiah(166_500), due_at: "2026-11-27T12:00:00Z", issued_at: "2026-11-20T12:00:00Z", tax_invoice_number: null, lines: [LINE], payments: [] as unknown[] };
const PAID = { state: "paid", remaining: rupiah(0), paid_at: "2026-11-24T03:04:05Z", paid_by: [{ payment_id: "p1", method: "qris", amount: rupiah(166_500), received_at: "2026-11-24T03:04:05Z" }] };
const METHODS = [
  { method: "qris", min: rupiah(1), max: rupiah(10_000_000), allowed: true },
  { method: "va", bank: "bca", min: rupiah(10_000), max: rupiah(20_000_000_000), allowed: true },
  { method: "va", bank: "bni", min: rupiah(1), max: null, allowed: true },
  { method: "card", min: rupiah(10_000), max: rupiah(999_999_999), allowed: false, reason: "too small" },
  { method: "wallet", min: rupiah(1), max: rupiah(0), allowed: false, reason: "too small" },
];

function open(invoice: object, answers: Parameters<typeof serve>[0] = {}) {
  return serve({ "GET /api/site": { body: { ...SITE, billing: true } }, "GET /api/me": { body: ME }, "GET /api/invoices/i1": { body: invoice }, "GET /api/billing/methods": { body: { items: METHODS } }, "GET /api/wallet": { body: { balance: rupiah(0), entries: [], next: null } }, ...answers });
}

beforeEach(() => visit("/dashboard/pay?id=i1"));

describe("the page of a payment", () => {
  it("offers the methods that fit, names the others with their limits, and begins a payment", async () => {
    const seen = open(INVOICE, { "POST /api/invoices/i1/pay": { status: 201, body: { payment: { ...QRIS, id: "p9" } } } });
    show(<PayPage />);
    expect(await screen.findByText("Not for this amount: Card (IDR 10,000 to IDR 999,999,999)")).toBeVisible();
    expect(seen.find(({ line }) => line.startsWith("GET /api/billing/methods"))?.line).toContain("amount=166500");
    fireEvent.click(screen.getByRole("button", { name: /^BCA/ }));
    await waitFor(() => expect(router.replace).toHaveBeenCalledWith("/dashboard/pay?id=i1&payment=p9", { scroll: false }));
    expect(seen.find(({ line }) => line.startsWith("POST"))?.body).toEqual({ method: "va", bank: "bca" });
  });

  it("shows the code of a pending payment, and its steps", async () => {
    open({ ...INVOICE, payments: [QRIS] }, { "GET /api/payments/p1": { body: QRIS } });
    show(<PayPage />);
    expect(await screen.findByRole("img", { name: "QR code of QRIS for IDR 166,500" })).toBeVisible();
    expect(screen.getByRole("timer")).toHaveTextContent(/^(10:00|9:5\d) left$/);
    expect(screen.getByRole("row", { name: /PPN 12 %.*16,500/ })).toBeVisible();
  });

  it("reads the invoice again when the payment is decided", async () => {
    const paid = { ...QRIS, state: "paid" };
    const seen = open({}, { "GET /api/invoices/i1": [{ body: { ...INVOICE, payments: [QRIS] } }, { body: { ...INVOICE, ...PAID, payments: [paid] } }], "GET /api/payments/p1": { body: paid } });
    show(<PayPage />);
    expect(await screen.findByRole("heading", { name: "Invoice INV-2026-000001 is paid" })).toBeVisible();
    expect(seen.filter(({ line }) => line === "GET /api/invoices/i1").length).toBeGreaterThan(1);
    expect(screen.getByText("Paid on").nextElementSibling).toHaveTextContent(formatter("en").moment(PAID.paid_at));
    expect(screen.getByText("Paid by").nextElementSibling).toHaveTextContent("QRIS · IDR 166,500 · TG-1");
    expect(screen.getByText("Paid for").nextElementSibling).toHaveTextContent("pro · 20 Nov 2026 – 19 Dec 2026");
    expect(screen.getByRole("link", { name: "Download (PDF)" })).toHaveAttribute("href", "/api/invoices/i1/pdf");
  });

  it.each([
    ["The payment was refused", { ...QRIS, state: "failed", reason: "refused" }],
    ["The payment expired", { ...QRIS, state: "failed", reason: "expired" }],
    ["The time for this payment is over", { ...QRIS, expires_at: PAST }],
    ["The bank reversed the payment", { ...QRIS, state: "reversed" }],
  ])("says: %s, and offers the methods again", async (title, payment) => {
    address.query = "id=i1&payment=p1";
    open({ ...INVOICE, payments: [payment] }, { "GET /api/payments/p1": { body: payment } });
    show(<PayPage />);
    expect(await screen.findByText(title)).toBeVisible();
    expect(await screen.findByRole("button", { name: /^QRIS/ })).toBeEnabled();
  });

  it("believes the invoice if it knows of the failure first", async () => {
    const failed = { ...QRIS, state: "failed", reason: "expired" };
    open({}, { "GET /api/invoices/i1": [{ body: { ...INVOICE, payments: [QRIS] } }, { body: { ...INVOICE, payments: [failed] } }], "GET /api/payments/p1": { body: QRIS } });
    address.query = "id=i1&payment=p1";
    show(<PayPage />);
    expect(await screen.findByRole("img", { name: /QR code/ })).toBeVisible();
    expect(await screen.findByText("The payment expired", undefined, { timeout: 8_000 })).toBeVisible();
  });

  it("says that the provider has not responded, and sends the same order again", async () => {
    const bare = { ...QRIS, state: "created", qr_text: undefined };
    const seen = open({ ...INVOICE, payments: [bare] }, { "GET /api/payments/p1": { body: bare }, "POST /api/invoices/i1/pay": refusal("payment_unavailable", 503, "the provider does not respond") });
    show(<PayPage />);
    expect(await screen.findByText("The payment provider has not responded yet")).toBeVisible();
    fireEvent.click(screen.getByRole("button", { name: "Try again" }));
    expect(await screen.findByText("The payment could not be started")).toBeVisible();
    expect(seen.find(({ line }) => line.startsWith("POST"))?.body).toEqual({ method: "qris" });
  });

  it("says that more arrived than was owed", async () => {
    open({ ...INVOICE, state: "paid", remaining: rupiah(0), payments: [{ ...QRIS, state: "paid" }, { ...QRIS, id: "p2", state: "paid" }] });
    show(<PayPage />);
    expect(await screen.findByText("You paid IDR 166,500 more than the invoice")).toBeVisible();
  });

  it("has no form for a void invoice, and none without an invoice", async () => {
    open({ ...INVOICE, state: "void" });
    const view = show(<PayPage />);
    expect(await screen.findByText("This invoice is void")).toBeVisible();
    view.unmount();
    address.query = "";
    show(<PayPage />);
    expect(await screen.findByText("No invoice is chosen")).toBeVisible();
  });
});

describe("a payment into the wallet", () => {
  it("is begun with a method, and followed until it arrives", async () => {
    address.query = "topup=100000";
    const topUp = { ...QRIS, id: "t1", amount: rupiah(100_000) };
    const seen = open({}, { "POST /api/wallet/topups": { status: 201, body: { payment: topUp } }, "GET /api/payments/t1": [{ body: topUp }, { body: { ...topUp, state: "paid" } }] });
    const view = show(<PayPage />);
    expect(await screen.findByText("IDR 100,000 for your wallet")).toBeVisible();
    fireEvent.click(await screen.findByRole("button", { name: /^QRIS/ }));
    await waitFor(() => expect(router.replace).toHaveBeenCalledWith("/dashboard/pay?payment=t1", { scroll: false }));
    expect(seen.find(({ line }) => line === "POST /api/wallet/topups")?.body).toEqual({ amount: 100_000, method: "qris" });
    view.unmount();
    address.query = "payment=t1";
    show(<PayPage />);
    expect(await screen.findByRole("img", { name: "QR code of QRIS for IDR 100,000" })).toBeVisible();
    expect(await screen.findByRole("heading", { name: "IDR 100,000 is in your wallet" }, { timeout: 8_000 })).toBeVisible();
  });

  it("was charged and is not offered again after a refund of a part", async () => {
    address.query = "payment=t1";
    open({}, { "GET /api/payments/t1": { body: { ...QRIS, id: "t1", state: "partly_refunded" } } });
    show(<PayPage />);
    expect(await screen.findByText("The payment was partly refunded")).toBeVisible();
    expect(screen.queryByText(/Nothing was charged/)).toBeNull();
    expect(screen.queryByText("Choose how to pay")).toBeNull();
    expect(screen.queryByRole("button", { name: /^QRIS/ })).toBeNull();
  });

  it("offers the wallet for an invoice that it pays whole", async () => {
    const seen = open(INVOICE, { "GET /api/wallet": { body: { balance: rupiah(166_500), entries: [], next: null } }, "POST /api/invoices/i1/pay": { status: 201, body: { payment: { ...QRIS, method: "wallet", state: "paid" } } } });
    show(<PayPage />);
    fireEvent.click(await screen.findByRole("button", { name: /^Wallet/ }));
    await waitFor(() => expect(seen.find(({ line }) => line.startsWith("POST"))?.body).toEqual({ method: "wallet" }));
  });
});

describe("a payment", () => {
  const payment = { ...QRIS, expires_at: "2026-11-20T12:15:00Z" };

  it("ends by the server's clock", () => {
    const now = new Date("2026-11-20T12:14:00Z");
    expect(secondsLeft(payment, now, 0)).toBe(60);
    expect(secondsLeft(payment, now, -120_000)).toBe(0);
    expect(isPayable(payment, now, -120_000)).toBe(false);
    expect(isPayable({ ...payment, state: "paid" }, now, 0)).toBe(false);
  });

  it("is the wanted one, else the newest that can be paid", () => {
    const now = new Date("2026-11-20T12:00:00Z");
    const failed = { ...payment, id: "p2", state: "failed" as const };
    expect(shownPayment([payment, failed], "", now, 0)?.id).toBe("p1");
    expect(shownPayment([payment, failed], "p2", now, 0)?.id).toBe("p2");
    expect(shownPayment([failed], "", now, 0)).toBeUndefined();
  });

  it("has a word for each state and reason", () => {
    expect(paymentState({ state: "failed", reason: "expired" }, en)).toEqual(["bad", "Expired"]);
    expect(paymentState({ state: "failed" }, en)).toEqual(["bad", "Refused"]);
    expect(paymentState({ state: "new" as "created" }, en)).toEqual(["", "new"]);
  });

  it("has a tax whose rate is a percentage", () => {
    const format = formatter("en");
    expect(["12%", "11%", "12.5%", "x"].map((rate) => rateText(rate, format))).toEqual(["12 %", "11 %", "12.50 %", "–"]);
  });
});

import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { beforeEach, describe, expect, it } from "vitest";

import { tasksOf } from "@/features/billing-admin/admin-invoice-drawer";
import { BillingAdminPage } from "@/features/billing-admin/billing-admin-page";
import { creditShape } from "@/features/billing-admin/credit-dialog";
import { refundShape } from "@/features/billing-admin/refund-dialog";
import { en } from "@/messages/en";
import { address, router, visit } from "@/tests/navigation";
import { SITE, show } from "@/tests/render";
import { refusal, serve } from "@/tests/server";

const ADMIN = { user: { id: "u1", name: "Root", email: "root@example.com", plan: "starter", role: "admin", kind: "person", status: "active", created_at: "2026-11-01T00:00:00Z" }, acts_as: "admin", roles: [], finance: true, session_id: "s", key_id: null };
const USER = { id: "u2", name: "Ada", email: "ada@example.com" };
const rupiah = (amount: number) => ({ amount, currency: "IDR" });
const LINE = { no: 1, kind: "plan", text: "pro", quantity: 1, unit: "period", unit_price: null, amount: rupiah(150_000), first_day: "2026-11-20", last_day: "2026-12-19" };
const INVOICE = { id: "i1", number: "INV-2026-000001", kind: "period" as const, state: "open" as const, period: { first_day: "2026-11-20", last_day: "2026-12-19" }, currency: "IDR", subtotal: rupiah(150_000), tax: null, total: rupiah(150_000), remaining: rupiah(150_000), due_at: "2026-11-27T12:00:00Z", issued_at: "2026-11-20T12:00:00Z", tax_invoice_number: null, lines: [LINE], payments: [], credit_notes: [] };
const ODD = { user: USER, invoice_id: "i1", payment: { id: "p1", state: "reversed", method: "va", order_id: "TG-1", amount: rupiah(150_000), refunded: { amount: 0, currency: "IDR" }, expires_at: "2026-11-21T12:00:00Z", va: { bank: "permata", number: "8778" } } };

function open(answers: Parameters<typeof serve>[0] = {}) {
  return serve({ "GET /api/site": { body: { ...SITE, billing: true } }, "GET /api/me": { body: ADMIN }, "GET /api/billing/invoices": { body: { items: [{ user: USER, invoice: INVOICE }], next: null } }, "GET /api/billing/payments": { body: { items: [], next: null } }, "GET /api/billing/invoices/i1": { body: INVOICE }, ...answers });
}

beforeEach(() => visit("/dashboard/billing-admin"));

describe("the page of billing for finance", () => {
  it("lists invoices with their users, and payments that a bank took back", async () => {
    open({ "GET /api/billing/payments": { body: { items: [ODD], next: null } } });
    show(<BillingAdminPage />);
    expect(await screen.findByRole("row", { name: /Ada.*INV-2026-000001.*Overdue|Ada.*INV-2026-000001.*Open/ })).toBeVisible();
    expect(await screen.findByText("Reversed by the bank")).toBeVisible();
    fireEvent.click(screen.getByRole("button", { name: "Show invoice TG-1" }));
    expect(router.replace).toHaveBeenCalledWith("/dashboard/billing-admin?id=i1", { scroll: false });
  });

  it("voids an invoice after a question, and says why it could not", async () => {
    address.query = "id=i1";
    const seen = open({ "POST /api/invoices/i1/void": [refusal("conflict", 409, "a part of it is paid"), { body: { ...INVOICE, state: "void" } }] });
    show(<BillingAdminPage />);
    fireEvent.click(await screen.findByRole("button", { name: "Void invoice" }));
    const dialog = screen.getByRole("dialog", { name: "Void invoice: INV-2026-000001" });
    fireEvent.click(within(dialog).getByRole("button", { name: "Void invoice" }));
    expect(await within(dialog).findByText("a part of it is paid")).toBeVisible();
    fireEvent.click(within(dialog).getByRole("button", { name: "Void invoice" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    expect(seen.filter(({ line }) => line === "POST /api/invoices/i1/void")).toHaveLength(2);
  });

  it("names the days that an invoice waits for, and offers no approval until they are signed off", async () => {
    address.query = "id=i1";
    const waiting = { ...INVOICE, number: null, state: "review", unsigned_days: [{ day: "2026-11-20", state: "ready" }, { day: "2026-11-21", state: "reopened" }] };
    open({ "GET /api/billing/invoices": { body: { items: [{ user: USER, invoice: waiting }], next: null } }, "GET /api/billing/invoices/i1": { body: waiting } });
    const view = show(<BillingAdminPage />);
    expect(await screen.findByRole("link", { name: "2026-11-21" })).toHaveAttribute("href", "/dashboard/review?day=2026-11-21");
    expect(screen.getAllByText("Days not signed off: 2")).toHaveLength(2);
    expect(screen.getByText("Reopened")).toBeVisible();
    expect(screen.queryByRole("button", { name: "Approve invoice" })).toBeNull();
    view.unmount();
    open({ "GET /api/billing/invoices/i1": { body: { ...waiting, unsigned_days: [] } } });
    show(<BillingAdminPage />);
    expect(await screen.findByRole("button", { name: "Approve invoice" })).toBeVisible();
  });

  it("makes a credit note of a part of a line", async () => {
    address.query = "id=i1";
    const seen = open({ "POST /api/invoices/i1/credit-notes": { status: 201, body: { ...INVOICE, kind: "credit_note" } } });
    show(<BillingAdminPage />);
    fireEvent.click(await screen.findByRole("button", { name: "Create credit note" }));
    const dialog = await screen.findByRole("dialog", { name: "Create credit note" });
    fireEvent.change(within(dialog).getByLabelText("Amount"), { target: { value: "50000" } });
    fireEvent.click(within(dialog).getByRole("button", { name: "Create credit note" }));
    expect(await within(dialog).findByText("Enter 1 to 200 characters")).toBeVisible();
    fireEvent.change(within(dialog).getByLabelText("Reason"), { target: { value: "outage" } });
    fireEvent.click(within(dialog).getByRole("button", { name: "Create credit note" }));
    await waitFor(() => expect(seen.find(({ line }) => line.startsWith("POST"))?.body).toEqual({ lines: [{ no: 1, amount: 50_000 }], reason: "outage", credited: 0 }));
  });

  it("is empty before the first subscription, and says that the server failed", async () => {
    open({ "GET /api/billing/invoices": { body: { items: [], next: null } } });
    const view = show(<BillingAdminPage />);
    expect(await screen.findByText("No invoices yet")).toBeVisible();
    view.unmount();
    open({ "GET /api/billing/invoices": refusal("internal", 500) });
    show(<BillingAdminPage />);
    expect(await screen.findByText("The server failed (500)")).toBeVisible();
  });

  it("tells others that it is for admins and finance", async () => {
    const seen = open({ "GET /api/me": { body: { ...ADMIN, acts_as: "member", roles: [], finance: false } } });
    show(<BillingAdminPage />);
    expect(await screen.findByText("This page is for admins and finance")).toBeVisible();
    expect(seen.some(({ line }) => line.includes("/api/billing/"))).toBe(false);
  });
});

describe("the tasks of finance", () => {
  it("depend on the state", () => {
    expect(tasksOf({ ...INVOICE, state: "review" })).toEqual(["approve", "void"]);
    expect(tasksOf({ ...INVOICE, state: "review", unsigned_days: [{ day: "2026-11-20", state: "ready" }] })).toEqual(["void"]);
    expect(tasksOf(INVOICE)).toEqual(["credit", "write-off", "void"]);
    expect(tasksOf({ ...INVOICE, remaining: rupiah(1) })).toEqual(["credit", "write-off"]);
    expect(tasksOf({ ...INVOICE, state: "paid" })).toEqual(["credit", "refund"]);
    expect(tasksOf({ ...INVOICE, state: "void" })).toEqual([]);
    expect(tasksOf({ ...INVOICE, state: "paid", kind: "credit_note" })).toEqual([]);
  });

  it("check amounts, reasons and references", () => {
    const credit = { no: "2", amount: "", reason: " outage " };
    expect(creditShape(en, "IDR").parse(credit)).toEqual({ no: 2, amount: null, reason: "outage" });
    const amountOf = (currency: string, amount: string) => creditShape(en, currency).safeParse({ ...credit, amount }).data?.amount;
    expect(["", "5000", "5.00", "0"].map((amount) => amountOf("IDR", amount))).toEqual([null, 5_000, undefined, undefined]);
    expect(["", "5", "5.00", "0.000000001", "0", "0.0", "1.0000000001", "8999999", "9000000"].map((amount) => amountOf("USD", amount))).toEqual([null, 5_000_000_000, 5_000_000_000, 1, undefined, undefined, undefined, 8_999_999_000_000_000, undefined]);
    const refund = { amount: "5000", reason: "outage", by: "hand", reference: "" };
    expect(refundShape(en).safeParse(refund).success).toBe(false);
    expect(refundShape(en).safeParse({ ...refund, amount: "1.5", reference: "BCA 1" }).success).toBe(false);
    expect(refundShape(en).parse({ ...refund, reference: "BCA 1" })).toEqual({ amount: 5_000, reason: "outage", by: "hand", reference: "BCA 1" });
  });
});

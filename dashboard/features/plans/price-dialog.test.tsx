import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";

import { fractionOf, taxOn } from "@/features/plans/invoice-preview";
import { PriceDialog } from "@/features/plans/price-dialog";
import type { Plan } from "@/features/plans/use-plans";
import { SITE, show } from "@/tests/render";
import { refusal, serve } from "@/tests/server";

const PLAN: Plan = { id: "p1", name: "pro", credits_per_day: 1000, requests_per_minute: 60, budgets: [], shared_keys: true, created_at: "", updated_at: "", for_sale: true, price: { amount: 150_000, currency: "IDR" }, interval: "month", trial_days: 0, charges: [], version: 1 };
const setting = (key: string, value: string) => ({ key, value, from: "tollgate.yaml:1" });
const TAX = [setting("billing.tax.name", "PPN"), setting("billing.tax.rate", "12%"), setting("billing.tax.base", "11/12"), setting("billing.tax.from", "2025-01-01"), setting("billing.seller.name", "PT Contoh")];
const RUNNING = { source: "file", name: "tollgate.yaml", id: null, digest: "d1", applied_at: "2026-11-20T08:00:00Z", yaml: 'plans: [{name: pro, price: "150000 IDR"}]\n', settings: TAX, etcd: null };
const CHANGES = { changes: [{ key: "plans[pro].price", before: "150000 IDR", after: "175000 IDR" }], more: 0, notes: [], digest: "d1", id: null };

function open(answers: Parameters<typeof serve>[0] = {}, yaml = RUNNING.yaml) {
  const onClose = vi.fn();
  const seen = serve({
    "GET /api/site": { body: { ...SITE, billing: true } }, "GET /api/config": { body: { ...RUNNING, yaml } },
    "POST /api/config/validate": { body: CHANGES }, "POST /api/config": { body: { ...CHANGES, digest: "d2" } }, ...answers,
  });
  show(<PriceDialog plan={PLAN} plans={[PLAN]} onClose={onClose} />);
  return { seen, onClose };
}

describe("the price of a plan", () => {
  it("is checked, shown with the first invoice, and applied over the configuration that was read", async () => {
    const { seen, onClose } = open();
    const amount = await screen.findByLabelText("Price");
    await userEvent.clear(amount);
    await userEvent.type(amount, "175000");
    await userEvent.click(screen.getByRole("button", { name: "Check price" }));
    const preview = await screen.findByRole("region", { name: "First invoice of a subscriber" });
    expect(preview).toHaveTextContent("From PT Contoh");
    expect(preview).toHaveTextContent(/Plan pro, one monthIDR 175,000PPN 12% on IDR 160,417IDR 19,250TotalIDR 194,250/);
    expect(screen.getByText("plans[pro].price")).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: "Apply price" }));
    await waitFor(() => expect(onClose).toHaveBeenCalledOnce());
    const applied = seen.find(({ line }) => line === "POST /api/config");
    expect(applied?.body).toEqual({ yaml: 'plans: [{name: pro, price: "175000 IDR", interval: month}]\n' });
    expect(applied?.headers["If-Match"]).toBe('"d1"');
  });

  it("is checked again after each change, and explained if it is refused", async () => {
    const { onClose } = open({ "POST /api/config": refusal("conflict", 409, "the configuration has changed since it was read") });
    await screen.findByLabelText("Price");
    await userEvent.click(screen.getByRole("button", { name: "Check price" }));
    await screen.findByRole("button", { name: "Apply price" });
    await userEvent.type(screen.getByLabelText("Trial in days"), "7");
    expect(screen.getByRole("button", { name: "Check price" })).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: "Check price" }));
    await userEvent.click(await screen.findByRole("button", { name: "Apply price" }));
    expect((await screen.findAllByText("the configuration has changed since it was read"))[0]).toBeVisible();
    expect(screen.getByLabelText("Trial in days")).toHaveValue("7");
    expect(onClose).not.toHaveBeenCalled();
  });

  it("is not sent with charges that are no mappings, nor into a list of an unknown form", async () => {
    const { seen } = open({}, "plans: &all\n  - {name: pro}\n");
    const charges = await screen.findByLabelText("Charges on usage");
    await userEvent.type(charges, "cost plus 20%");
    await userEvent.click(screen.getByRole("button", { name: "Check price" }));
    expect(await screen.findByText("Write each charge in braces on a line of its own")).toBeVisible();
    await userEvent.clear(charges);
    await userEvent.click(screen.getByRole("button", { name: "Check price" }));
    expect(await screen.findByRole("link", { name: "Open configuration" })).toBeVisible();
    expect(seen.some(({ line }) => line.startsWith("POST"))).toBe(false);
  });
});

describe("the tax of a preview", () => {
  it("is rounded as on invoices, from its first day", () => {
    expect(fractionOf("12.5%")).toEqual([125n, 1000n]);
    expect(fractionOf("x")).toBeUndefined();
    expect(taxOn(150_000n, TAX, "2026-11-30")).toEqual({ name: "PPN", rate: "12%", base: 137_500n, amount: 16_500n });
    expect(taxOn(150_000n, TAX, "2024-12-31")).toBeUndefined();
    expect(taxOn(150_000n, [], "2026-11-30")).toBeUndefined();
  });
});

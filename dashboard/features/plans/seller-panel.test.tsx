import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it } from "vitest";

import { SellerPanel } from "@/features/plans/seller-panel";
import { en } from "@/messages/en";
import { SITE, show } from "@/tests/render";
import { refusal, serve } from "@/tests/server";

const t = en.plans;
const RUNNING = { source: "file", name: "tollgate.yaml", id: null, digest: "d1", applied_at: "2026-11-20T08:00:00Z", yaml: "", settings: [{ key: "billing.review", value: "none", from: "default" }], etcd: null };
const PLANS = { body: { items: [], next: null } };
const APPLIED = { changes: [], more: 0, notes: [], digest: "d2", id: "c1" };

it("turns billing on with the typed seller, and with the stub if there is no key of Midtrans", async () => {
  const seen = serve({ "GET /api/site": { body: SITE }, "GET /api/config": { body: RUNNING }, "GET /api/plans": PLANS, "POST /api/config": { body: APPLIED } });
  show(<SellerPanel />);
  await userEvent.type(await screen.findByLabelText(t.billing.name), 'PT "Contoh"');
  const preview = screen.getByRole("link", { name: t.previewInvoice }).getAttribute("href") ?? "";
  expect(new URL(preview, "http://h").searchParams.get("billing")).toBe('{"seller":{"name":"PT \\"Contoh\\""},"review":"none"}');
  await userEvent.click(screen.getByRole("button", { name: t.turnOn }));
  const sent = seen.find(({ line }) => line === "POST /api/config");
  expect(sent?.body).toEqual({ yaml: 'billing:\n  seller:\n    name: "PT \\"Contoh\\""\n  review: "none"\n  enabled: true\n  stub: true\n' });
  expect(sent?.headers["If-Match"]).toBe('"d1"');
});

it("shows the seller in force, and why billing cannot be turned off", async () => {
  const running = { ...RUNNING, yaml: "billing: {enabled: true, seller: {name: PT Contoh}}\n", settings: [...RUNNING.settings, { key: "billing.enabled", value: true, from: "tollgate.yaml:1" }, { key: "billing.seller.name", value: "PT Contoh", from: "tollgate.yaml:1" }, { key: "midtrans.server_key", value: "***", from: "MIDTRANS" }] };
  const seen = serve({ "GET /api/site": { body: { ...SITE, billing: true } }, "GET /api/config": { body: running }, "GET /api/plans": PLANS, "POST /api/config": refusal("conflict", 409, "billing_needed: customers have subscriptions") });
  show(<SellerPanel />);
  expect(await screen.findByLabelText(t.billing.name)).toHaveValue("PT Contoh");
  expect(screen.queryByText(t.stubTitle)).toBeNull();
  await userEvent.click(screen.getByRole("button", { name: t.turnOff }));
  expect(seen.find(({ line }) => line === "POST /api/config")?.body).toEqual({ yaml: 'billing:\n  enabled: false\n  seller:\n    name: "PT Contoh"\n' });
  expect(await screen.findByText(/customers have subscriptions/)).toBeVisible();
});

it("leaves a section that it cannot write to the text of the configuration", async () => {
  serve({ "GET /api/site": { body: SITE }, "GET /api/config": { body: { ...RUNNING, yaml: "billing: {enabled: false} # ours\n" } }, "GET /api/plans": PLANS });
  show(<SellerPanel />);
  expect(await screen.findByText(t.billingUnknown)).toBeVisible();
  expect(screen.getByRole("button", { name: t.turnOn })).toBeDisabled();
});

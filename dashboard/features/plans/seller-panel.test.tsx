import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { expect, it } from "vitest";

import { SellerPanel, billingLines } from "@/features/plans/seller-panel";
import { SITE, show } from "@/tests/render";
import { serve } from "@/tests/server";

const RUNNING = { source: "file", name: "tollgate.yaml", id: null, digest: "d1", applied_at: "2026-11-20T08:00:00Z", yaml: "", settings: [{ key: "billing.seller.name", value: "PT Contoh", from: "tollgate.yaml:1" }], etcd: null };

it("writes the lines that turn billing on, with the seller that is typed", async () => {
  serve({ "GET /api/site": { body: { ...SITE, billing: false } }, "GET /api/config": { body: { ...RUNNING, settings: [] } } });
  show(<SellerPanel />);
  await userEvent.type(await screen.findByLabelText("Seller"), 'PT "Contoh"');
  const lines = screen.getByLabelText("Lines of the configuration file");
  expect(lines).toHaveTextContent('enabled: true seller: name: "PT \\"Contoh\\""');
  expect(billingLines({ name: "", address: "", tax_number: "", email: "" })).not.toContain("seller");
});

it("shows the seller once billing is on", async () => {
  serve({ "GET /api/site": { body: { ...SITE, billing: true } }, "GET /api/config": { body: RUNNING } });
  show(<SellerPanel />);
  expect(await screen.findByText("PT Contoh")).toBeVisible();
  expect(screen.queryByLabelText("Seller")).toBeNull();
});

import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";

import { PlanDialog } from "@/features/plans/plan-dialog";
import type { Plan } from "@/features/plans/use-plans";
import { show } from "@/tests/render";
import { serve } from "@/tests/server";

const PLAN: Plan = {
  id: "p1", name: "starter", credits_per_day: 1000, requests_per_minute: 60, budgets: [{ money: "20 USD", per: "month" }, { credits: 5, per: "day" }], shared_keys: true,
  created_at: "2026-11-01T00:00:00Z", updated_at: "2026-11-01T00:00:00Z", for_sale: false, price: null, interval: null, trial_days: null, charges: null, version: null,
};

function open() {
  const seen = serve({ "PATCH /api/plans/starter": { body: PLAN } });
  const onClose = vi.fn();
  show(<PlanDialog plan={PLAN} onClose={onClose} />);
  return { seen, onClose };
}

describe("PlanDialog", () => {
  it("sends only the changed limits, so that those of another admin stay", async () => {
    const { seen, onClose } = open();
    await userEvent.clear(screen.getByLabelText("Requests per minute"));
    await userEvent.type(screen.getByLabelText("Requests per minute"), "90");
    await userEvent.click(screen.getByRole("button", { name: "Save limits" }));
    await waitFor(() => expect(onClose).toHaveBeenCalledOnce());
    expect(seen.map(({ body }) => body)).toEqual([{ requests_per_minute: 90 }]);
  });

  it("sends all budgets if one has changed, also those without a field", async () => {
    const { seen, onClose } = open();
    await userEvent.type(screen.getByLabelText("Tokens per day"), "7");
    await userEvent.click(screen.getByRole("button", { name: "Save limits" }));
    await waitFor(() => expect(onClose).toHaveBeenCalledOnce());
    expect(seen.map(({ body }) => body)).toEqual([{ budgets: [{ money: "20 USD", per: "month" }, { tokens: 7, per: "day" }, { credits: 5, per: "day" }] }]);
  });

  it("closes without a request if no limit has changed", async () => {
    const { seen, onClose } = open();
    await userEvent.click(screen.getByRole("button", { name: "Save limits" }));
    await waitFor(() => expect(onClose).toHaveBeenCalledOnce());
    expect(seen).toEqual([]);
  });
});

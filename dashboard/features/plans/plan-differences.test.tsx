import { screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";

import { PlanDifferences, differingLimits } from "@/features/plans/plan-differences";
import type { PlanDifference } from "@/features/plans/use-plans";
import { formatter } from "@/lib/format";
import { en } from "@/messages/en";
import { visit } from "@/tests/navigation";
import { SITE, show } from "@/tests/render";
import { refusal, serve } from "@/tests/server";

beforeEach(() => visit("/dashboard/plans"));

const LIMITS = { credits_per_day: 1000, requests_per_minute: null, budgets: [], shared_keys: true };
const STARTER: PlanDifference = { name: "starter", stored: LIMITS, configured: { ...LIMITS, credits_per_day: 5, budgets: [{ money: "20 USD", per: "month" }] } };
const TEAM: PlanDifference = { name: "team", stored: null, configured: LIMITS };

describe("plans that differ", () => {
  it("name only the limits that differ", () => {
    const format = formatter("en");
    expect(differingLimits(STARTER, en, format)).toEqual([
      { limit: "Credits per day", stored: "1,000", configured: "5" },
      { limit: "Budgets of each user", stored: "–", configured: "$20.00 a month" },
    ]);
    expect(differingLimits(TEAM, en, format).map(({ stored }) => stored)).toEqual(["No such plan", "No such plan", "No such plan", "No such plan"]);
  });

  it("name limits that differ by less than a tenth of a million or a cent", () => {
    const stored = { ...LIMITS, credits_per_day: 1_000_000, budgets: [{ money: "0.001 USD", per: "day" as const }, { tokens: 2_000_000, per: "day" as const }] };
    const configured = { ...LIMITS, credits_per_day: 1_040_000, budgets: [{ money: "0.0015 USD", per: "day" as const }, { tokens: 2_000_001, per: "day" as const }] };
    expect(differingLimits({ name: "team", stored, configured }, en, formatter("en"))).toEqual([
      { limit: "Credits per day", stored: "1,000,000", configured: "1,040,000" },
      { limit: "Budgets of each user", stored: "$0.001 a day · 2,000,000 tokens a day", configured: "$0.0015 a day · 2,000,001 tokens a day" },
    ]);
  });

  it("are applied one by one or all together, after a confirmation", async () => {
    const seen = serve({
      "GET /api/site": { body: SITE },
      "GET /api/config/plans": [{ body: { items: [STARTER, TEAM], next: null } }, { body: { items: [], next: null } }],
      "POST /api/config/plans": [refusal("unavailable", 503), { body: { items: [STARTER], next: null } }],
    });
    show(<PlanDifferences />);
    const table = await screen.findByRole("table", { name: "Plans that differ from the configuration" });
    expect(within(table).getByRole("row", { name: /starter.*Credits per day.*1,000.*5/ })).toBeVisible();
    expect(screen.getByRole("button", { name: "Apply all" })).toBeVisible();
    await userEvent.click(within(table).getByRole("button", { name: "Apply starter from the configuration" }));
    const dialog = screen.getByRole("dialog", { name: "Apply starter from the configuration" });
    await userEvent.click(within(dialog).getByRole("button", { name: "Apply" }));
    expect(await within(dialog).findByRole("alert")).toBeVisible();
    await userEvent.click(within(dialog).getByRole("button", { name: "Apply" }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    expect(seen.filter(({ line }) => line.startsWith("POST")).map(({ body }) => body)).toEqual([{ names: ["starter"] }, { names: ["starter"] }]);
    await waitFor(() => expect(screen.queryByRole("table")).toBeNull());
  });

  it("do not appear where there are none", async () => {
    const seen = serve({ "GET /api/site": { body: SITE }, "GET /api/config/plans": { body: { items: [], next: null } } });
    const { container } = show(<PlanDifferences />);
    await waitFor(() => expect(seen.some(({ line }) => line === "GET /api/config/plans")).toBe(true));
    expect(container).not.toHaveTextContent("Plans that differ");
  });
});

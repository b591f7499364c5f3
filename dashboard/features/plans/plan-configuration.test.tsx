import { screen, within } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { PlanConfiguration } from "@/features/plans/plan-configuration";
import { show } from "@/tests/render";
import { serve } from "@/tests/server";

const PLAN = { id: "p1", name: "starter", credits_per_day: 10, requests_per_minute: null, budgets: [], shared_keys: true, created_at: "2026-11-01T00:00:00Z", updated_at: "2026-11-01T00:00:00Z", for_sale: false, users: 0 };
const PRO = { ...PLAN, id: "p2", name: "pro", models: ["fast", "openai/*"], aliases: { "gpt-4o": "fast" }, rate_limits: ['"plan-user-model";q=60;w=60'] };

describe("the configuration of plans", () => {
  it("shows the models, aliases and rate limits of the plans that have some", async () => {
    serve({ "GET /api/plans": { body: { items: [PLAN, PRO, { ...PLAN, id: "p3", name: "free", aliases: { mini: "fast" } }], next: null } } });
    show(<PlanConfiguration />);
    const rows = within(await screen.findByRole("table", { name: "Models and rate limits of plans" })).getAllByRole("row").slice(1);
    const cells = rows.map((row) => within(row).getAllByRole("cell").map(({ textContent }) => textContent));
    expect(cells).toEqual([["pro", "fastopenai/*", "gpt-4o → fast", '"plan-user-model";q=60;w=60'], ["free", "All", "mini → fast", "–"]]);
  });

  it("is absent without such a plan", async () => {
    const seen = serve({ "GET /api/plans": { body: { items: [PLAN], next: null } } });
    const { container } = show(<PlanConfiguration />);
    await expect.poll(() => seen.length).toBe(1);
    expect(container.querySelector("table")).toBeNull();
  });
});

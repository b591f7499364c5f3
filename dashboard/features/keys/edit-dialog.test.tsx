import { screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { EditDialog } from "@/features/keys/edit-dialog";
import { SITE, show } from "@/tests/render";
import { serve } from "@/tests/server";

const KEY = {
  id: "k1", user_id: "u2", admin: false, labels: {}, label: "laptop", prefix: "acme", last4: "cdef", created_at: "2026-11-01T00:00:00Z", expires_at: null, revoked_at: null,
  last_used_at: null, previous: null, scopes: { models: null, routes: null }, limits: { credits_per_day: null, requests_per_minute: null }, addresses: null,
};

describe("EditDialog", () => {
  it("reads the budgets of another user's key", async () => {
    const seen = serve({
      "GET /api/site": { body: SITE },
      "GET /api/me": { body: { user: { id: "u1" }, acts_as: "admin", roles: [] } },
      "GET /api/dashboard/overview": { body: { plan: { name: "starter", credits_per_day: 1000 } } },
      "GET /api/usage/today": { body: { budgets: [] } },
    });
    show(<EditDialog apiKey={KEY} onClose={() => undefined} />);
    expect(await screen.findByLabelText("Label")).toHaveValue("laptop");
    expect(seen.map(({ line }) => line)).toContain("GET /api/usage/today?key_id=k1&user_id=u2");
  });
});

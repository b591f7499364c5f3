import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";

import { AllKeys } from "@/features/keys/all-keys";
import { address, visit } from "@/tests/navigation";
import { show } from "@/tests/render";
import { serve } from "@/tests/server";

beforeEach(() => visit("/dashboard/keys?all=1"));

const KEY = {
  id: "k1", user_id: "u1", user: { id: "u1", name: "Budi", email: "budi@example.com" }, label: "laptop", prefix: "acme", last4: "9f3c", created_at: "2026-11-01T00:00:00Z", expires_at: null,
  revoked_at: null, last_used_at: null, admin: false, labels: {}, previous: null, scopes: { models: null, routes: null }, limits: { credits_per_day: null, requests_per_minute: null }, addresses: null,
};

describe("AllKeys", () => {
  it("shows each key with its owner, its last use and its expiry", async () => {
    serve({ "GET /api/keys": { body: { items: [KEY, { ...KEY, id: "k2", label: "old", revoked_at: "2026-11-02T00:00:00Z" }], next: null } } });
    show(<AllKeys />);
    expect(await screen.findByText("laptop")).toBeVisible();
    expect(screen.getAllByText("Budi")).toHaveLength(2);
    expect(screen.getByText("Revoked", { selector: ".tag" })).toBeVisible();
    expect(screen.getByText("2 keys")).toBeVisible();
  });

  it("finds the only key on the fourth page, and says so where none matches", async () => {
    const empty = (next: string) => ({ body: { items: [], next } });
    serve({ "GET /api/keys": [empty("c1"), empty("c2"), empty("c3"), { body: { items: [KEY], next: null } }] });
    const { unmount } = show(<AllKeys />);
    expect(await screen.findByText("laptop")).toBeVisible();
    unmount();
    serve({ "GET /api/keys": { body: { items: [], next: null } } });
    visit("/dashboard/keys?all=1&state=revoked");
    show(<AllKeys />);
    await userEvent.click(await screen.findByRole("button", { name: "Clear filter" }));
    await waitFor(() => expect(address.visited.at(-1)).toBe("/dashboard/keys?all=1"));
  });
});

import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it } from "vitest";

import { CreateDialog } from "@/features/keys/create-dialog";
import { visit } from "@/tests/navigation";
import { SITE, show } from "@/tests/render";
import { serve } from "@/tests/server";

beforeEach(() => visit("/dashboard/keys"));

const USER = { id: "u1", name: "Ada", email: "ada@example.com", plan: "starter", role: "admin", status: "active", created_at: "2026-11-01T00:00:00Z" };

function open({ acts_as = "admin", userId }: { acts_as?: string; userId?: string } = {}) {
  const seen = serve({
    "GET /api/site": { body: SITE },
    "GET /api/me": { body: { user: USER, acts_as } },
    "GET /api/dashboard/overview": { body: { plan: { name: "starter", credits_per_day: 1000 } } },
    "POST /api/keys": { status: 201, body: { id: "k1" } },
  });
  show(<CreateDialog userId={userId} onClose={() => undefined} onCreated={() => undefined} />);
  return seen;
}

describe("the form of a new key", () => {
  it("shows the label and the limits of a plan; the rest is under More", async () => {
    open();
    for (const name of ["Label", "Credits per day", "Requests per minute"]) expect(screen.getByLabelText(name)).toBeVisible();
    for (const name of ["Expires on", "Models", "Routes", "Addresses and networks"]) expect(screen.getByLabelText(name)).not.toBeVisible();
    await userEvent.click(screen.getByText("More"));
    expect(screen.getByLabelText("Expires on")).toBeVisible();
  });

  it("creates a key with the scope admin, which needs an expiry and has no other limits than addresses", async () => {
    const seen = open();
    await userEvent.type(screen.getByLabelText("Label"), "shop");
    await userEvent.selectOptions(await screen.findByLabelText("Scope"), "Administration");
    expect(screen.queryByLabelText("Credits per day")).toBeNull();
    expect(screen.queryByText("More")).toBeNull();
    await userEvent.click(screen.getByRole("button", { name: "Create key" }));
    expect(screen.getByLabelText("Expires on")).toHaveFocus();
    const day = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10);
    await userEvent.type(screen.getByLabelText("Expires on"), day);
    await userEvent.type(screen.getByLabelText("Addresses and networks"), "203.0.113.7");
    await userEvent.click(screen.getByRole("button", { name: "Create key" }));
    await waitFor(() => expect(seen.find(({ line }) => line === "POST /api/keys")?.body).toEqual({
      label: "shop", scopes: ["admin"], expires_at: new Date(`${day}T23:59:59`).toISOString(), addresses: ["203.0.113.7"],
    }));
  });

  it.each([{ acts_as: "member" }, { userId: "u2" }])("offers the scope admin only to admins for themselves: %o", async (reader) => {
    const seen = open(reader);
    await waitFor(() => expect(seen.some(({ line }) => line === "GET /api/me")).toBe(true));
    await screen.findByText("Your plan has 1,000 a day for all keys");
    expect(screen.queryByLabelText("Scope")).toBeNull();
  });

  it("opens the rest if one of its fields is wrong, and moves the focus there", async () => {
    const seen = open();
    await userEvent.type(screen.getByLabelText("Label"), "laptop");
    await userEvent.click(screen.getByText("More"));
    await userEvent.type(await screen.findByLabelText("Money per day"), "much");
    await userEvent.click(screen.getByText("More"));
    await userEvent.click(screen.getByRole("button", { name: "Create key" }));
    expect(screen.getByLabelText("Money per day")).toBeVisible();
    expect(screen.getByLabelText("Money per day")).toHaveFocus();
    expect(seen.some(({ line }) => line.startsWith("POST"))).toBe(false);
  });
});

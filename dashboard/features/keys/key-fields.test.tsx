import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";

import { CreateDialog } from "@/features/keys/create-dialog";
import { SITE, show } from "@/tests/render";
import { serve } from "@/tests/server";

vi.mock("next/navigation", () => ({ useRouter: () => ({ replace: () => undefined, push: () => undefined }), usePathname: () => "/dashboard/keys", useSearchParams: () => new URLSearchParams() }));

const USER = { id: "u1", name: "Ada", email: "ada@example.com", plan: "starter", role: "admin", status: "active", created_at: "2026-11-01T00:00:00Z" };

function open() {
  const seen = serve({
    "GET /api/site": { body: SITE },
    "GET /api/me": { body: { user: USER, acts_as: "admin" } },
    "GET /api/dashboard/overview": { body: { plan: { name: "starter", credits_per_day: 1000 } } },
  });
  show(<CreateDialog onClose={() => undefined} onCreated={() => undefined} />);
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

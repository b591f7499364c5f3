import { screen } from "@testing-library/react";
import { beforeEach, describe, expect, it } from "vitest";

import { withSetting } from "@/features/configuration/wanted-setting";
import { UsersPage } from "@/features/users/users-page";
import { address, visit } from "@/tests/navigation";
import { SITE, show } from "@/tests/render";
import { serve } from "@/tests/server";

const USER = { id: "u1", kind: "person", name: "Ada", email: "ada@example.com", plan: "starter", role: "admin", status: "active", created_at: "2026-11-01T00:00:00Z" };
const SETTING = "/dashboard/configuration?view=edit&set=signup";

function open(signup: string): void {
  serve({
    "GET /api/me": { body: { user: USER, acts_as: "admin", roles: [] } },
    "GET /api/site": { body: { ...SITE, signup } },
    "GET /api/keys": { body: { items: [], next: null } },
    "GET /api/models": { body: { items: [], next: null } },
    "GET /api/plans": { body: { items: [], next: null } },
    "GET /api/users": { body: { items: [USER], next: null } },
    "GET /api/invites": { body: { items: [], next: null } },
  });
  show(<UsersPage />);
}

beforeEach(() => visit("/dashboard/users"));

describe("the button of an invitation", () => {
  it("opens the form where invitations work", async () => {
    address.query = "new=invite";
    open("invite");
    expect(await screen.findByRole("dialog", { name: "Invite user" })).toBeVisible();
    expect(screen.queryByText("Allow invitations")).toBeNull();
  });

  it("leads to the setting where registration is closed, and the form does not open", async () => {
    address.query = "new=invite";
    open("closed");
    expect(await screen.findByRole("link", { name: "Allow invitations" })).toHaveAttribute("href", SETTING);
    expect(screen.queryByRole("dialog")).toBeNull();
    expect(screen.queryByRole("button", { name: "Invite user" })).toBeNull();
  });

  it("in the list of invitations too", async () => {
    address.query = "show=invites";
    open("closed");
    expect(await screen.findByText("Invitations do not work, because registration is closed (signup: closed)")).toBeVisible();
    for (const link of screen.getAllByRole("link", { name: "Allow invitations" })) expect(link).toHaveAttribute("href", SETTING);
  });
});

describe("a setting that another page wants", () => {
  it.each([
    ["", "signup: invite\n"],
    ["log: {level: info}", "log: {level: info}\nsignup: invite\n"],
    ["signup: closed # a comment\nlog: {}\n", "signup: invite\nlog: {}\n"],
    ["signup_plan: pro\n", "signup_plan: pro\nsignup: invite\n"],
    ["signup: invite\n", "signup: invite\n"],
  ])("is written into %j", (text, expected) => {
    expect(withSetting(text, "signup", "invite")).toBe(expected);
  });
});

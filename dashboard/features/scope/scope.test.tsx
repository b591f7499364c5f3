import { fireEvent, screen, within } from "@testing-library/react";
import { beforeEach, describe, expect, it } from "vitest";

import { TopUsers } from "@/features/overview/top-users";
import { ScopeSwitch } from "@/features/scope/scope-switch";
import { isWide } from "@/features/scope/use-scope";
import type { Overview } from "@/lib/queries";
import { address, visit } from "@/tests/navigation";
import { show } from "@/tests/render";
import { serve } from "@/tests/server";

const USER = { id: "u1", name: "Ada", email: "ada@example.com", plan: "starter", role: "admin", status: "active", created_at: "2026-11-01T00:00:00Z" };
const FIGURES = { requests: 1, credits: 1, tokens: { input: 1, cached_input: 0, cache_write: 0, output: 0, reasoning: 0, total: 1 }, unpriced_requests: 0 };

function answering(actsAs: string): void {
  serve({
    "GET /api/me": { body: { user: USER, acts_as: actsAs, roles: [] } },
    "GET /api/users": { body: { items: [USER, { ...USER, id: "u2", name: "Bob" }], next: null } },
    "GET /api/plans": { body: { items: [{ id: "p1", name: "starter" }] } },
    "GET /api/dashboard/overview": { body: { keys: [{ id: "k1", label: "laptop", last4: "0f97", user: { id: "u2", name: "Bob" } }] } },
  });
}

describe("ScopeSwitch", () => {
  beforeEach(() => visit("/dashboard/usage"));

  it("lets admins choose all users, themselves, a user, a plan or a key", async () => {
    answering("admin");
    show(<ScopeSwitch />);
    const choice = await screen.findByLabelText("Usage of");
    expect(choice).toHaveValue("all");
    await within(choice).findByRole("option", { name: "laptop …0f97 · Bob" });
    const options = within(choice).getAllByRole<HTMLOptionElement>("option").map(({ value }) => value);
    expect(options).toEqual(["all", "", "user:u1", "user:u2", "plan:starter", "key:k1"]);
    fireEvent.change(choice, { target: { value: "user:u2" } });
    fireEvent.change(choice, { target: { value: "" } });
    expect(address.visited.map((path) => decodeURIComponent(path))).toEqual([expect.stringContaining("scope=user:u2"), expect.stringContaining("scope=me")]);
  });

  it("shows the scope of the address, also one that is in no list", async () => {
    address.query = "scope=user:u9";
    answering("admin");
    show(<ScopeSwitch />);
    expect(await screen.findByLabelText("Usage of")).toHaveValue("user:u9");
  });

  it("is absent for members", async () => {
    answering("member");
    show(<><ScopeSwitch /><p>ready</p></>);
    await screen.findByText("ready");
    expect(screen.queryByLabelText("Usage of")).toBeNull();
  });

  it("distinguishes scopes of several users", () => {
    expect(["all", "plan:starter", "user:u1", "key:k1", ""].map(isWide)).toEqual([true, true, false, false, false]);
  });
});

describe("TopUsers", () => {
  const row = (id: string, name: string, spend: number, errors: number) => ({ id, name, plan: "starter", ...FIGURES, cost: { amount_nano: spend, currency: "USD" }, succeeded: 1, refused: 0, errors });
  const [ada, bob] = [row("u1", "Ada", 2e9, 0), row("u2", "Bob", 1e9, 3)];

  it("orders the users of the month, and leads to the usage of each", () => {
    const users = { most_spent: [ada, bob], most_requests: [ada, bob], most_errors: [bob] };
    show(<TopUsers overview={{ users } as unknown as Overview} />);
    const links = () => screen.getAllByRole("link").map((link) => [link.textContent, link.getAttribute("href")]);
    expect(links()).toEqual([["Ada", "/dashboard/overview?scope=user:u1"], ["Bob", "/dashboard/overview?scope=user:u2"]]);
    fireEvent.click(screen.getByRole("button", { name: "Failed" }));
    expect(links()).toEqual([["Bob", "/dashboard/overview?scope=user:u2"]]);
  });
});

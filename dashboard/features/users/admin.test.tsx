import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import type { ReactNode } from "react";
import { describe, expect, it, vi } from "vitest";

import { actionName, actorName, detailText } from "@/features/audit/audit-words";
import type { AuditLine } from "@/features/audit/use-audit";
import { amountPattern, bodyOf, figuresOf, measureOf, nanoOf, pathOf, typedOf } from "@/features/budgets/budget-figures";
import { matchingBudgets } from "@/features/budgets/budgets-page";
import type { Budget } from "@/features/budgets/use-budgets";
import { initialPlan, keptBudgets, planShape } from "@/features/plans/plan-form";
import { budgetText } from "@/features/plans/plan-words";
import type { Plan } from "@/features/plans/use-plans";
import { LinkDialog } from "@/features/users/link-dialog";
import { CreateUserDialog, UserTaskDialog } from "@/features/users/user-dialogs";
import { userActions } from "@/features/users/user-table";
import { matching } from "@/features/users/users-page";
import type { User } from "@/features/users/use-users";
import { formatter } from "@/lib/format";
import { en } from "@/messages/en";
import { show } from "@/tests/render";
import { serve } from "@/tests/server";

const format = formatter("en");
const usd = (amount_nano: number) => ({ amount_nano, currency: "USD" });
const BUDGET: Budget = {
  dimension: "user", id: "u1", name: "ada@example.com", per: "month", money: "12.5 USD", used: usd(10_000_000_000), remaining: usd(2_500_000_000),
  resets_at: "2026-12-01T00:00:00Z", source: "api",
};
const PLAN: Plan = {
  id: "p1", name: "team", credits_per_day: 500, requests_per_minute: null, shared_keys: false, created_at: "2026-11-01T00:00:00Z", updated_at: "2026-11-01T00:00:00Z",
  for_sale: false, budgets: [{ money: "20 USD", per: "month" }, { credits: 7, per: "day" }],
};
const user = (name: string, email: string): User => ({ id: email, kind: "person", name, email, plan: "starter", role: "member", status: "active", created_at: "2026-11-01T00:00:00Z" });

describe("a budget", () => {
  it("shows money with its used share", () => {
    expect(figuresOf(BUDGET, format)).toEqual({ measure: "money", amount: "$12.50", used: "$10.00", remaining: "$2.50", share: 0.8 });
    expect(pathOf(BUDGET)).toEqual({ dimension: "user", id: "u1", measure: "money", per: "month" });
    expect(typedOf(BUDGET)).toBe("12.5");
  });

  it("of each user has an amount and no use, and one of 0 is used up", () => {
    const each: Budget = { dimension: "user", id: null, name: null, per: "day", tokens: 5_000, used: null, remaining: null, resets_at: "2026-12-01T00:00:00Z", source: "configuration" };
    expect(figuresOf(each, format)).toEqual({ measure: "tokens", amount: "5,000", used: undefined, remaining: undefined, share: undefined });
    const empty: Budget = { ...each, dimension: "global", id: "-", tokens: 0, used: 0, remaining: 0 };
    expect(figuresOf(empty, format).share).toBe(1);
  });

  it("keeps its measure if the amount is not shown", () => {
    expect(measureOf({ tokens: null })).toBe("tokens");
  });

  it("converts money exactly", () => {
    expect([nanoOf("12.5 USD"), nanoOf("0.000000001 USD"), nanoOf("7 USD")]).toEqual([12_500_000_000, 1, 7_000_000_000]);
    expect(["12.50", "0", "0.000000001"].every((text) => amountPattern("money").test(text))).toBe(true);
    expect(["12,50", "-1", "1e3", "1.0000000001", ""].some((text) => amountPattern("money").test(text))).toBe(false);
    expect([bodyOf("money", "12.50"), bodyOf("tokens", "40")]).toEqual([{ money: "12.50 USD" }, { tokens: 40 }]);
  });

  it("is found by its dimension and its holder", () => {
    const plan: Budget = { ...BUDGET, dimension: "plan", id: "p", name: "starter" };
    expect(matchingBudgets([BUDGET, plan], { dimension: "", text: "STAR" }, en)).toEqual([plan]);
    expect(matchingBudgets([BUDGET, plan], { dimension: "user", text: "" }, en)).toEqual([BUDGET]);
  });
});

describe("the form of a plan", () => {
  const read = (change: Record<string, string>) => planShape(en, keptBudgets(PLAN)).safeParse({ ...initialPlan(PLAN), ...change });

  it("keeps what it has no field for, and sends null for an empty limit", () => {
    expect(read({ quota: "", "money-month": "", "tokens-day": "9", shared: "yes" }).data).toEqual({
      name: "team",
      limits: { credits_per_day: null, requests_per_minute: null, budgets: [{ tokens: 9, per: "day" }, { credits: 7, per: "day" }], shared_keys: true },
    });
  });

  it("refuses names and amounts that the server would refuse", () => {
    for (const change of [{ name: "Team A" }, { quota: "-1" }, { rate: "0" }, { "money-day": "1,5" }]) expect(read(change).success).toBe(false);
  });

  it("is summed up in words", () => {
    expect(PLAN.budgets.map((budget) => budgetText(budget, en, format))).toEqual(["$20.00 a month", "7 credits a day"]);
  });
});

describe("the search of users", () => {
  const all = [user("Ada Lovelace", "ada@example.com"), user("Bob", "bob@example.com")];
  it("looks at names and addresses, and adds an exact address that is not loaded", () => {
    expect(matching(all, " LOVE ", undefined)).toEqual([all[0]]);
    expect(matching(all, "bob@", null)).toEqual([all[1]]);
    const far = user("Zoe", "zoe@example.com");
    expect(matching(all, "zoe@example.com", far)).toEqual([far]);
    expect(matching(all, "", far)).toEqual(all);
  });
});

describe("an audit entry", () => {
  const actor = { kind: "user" as const, user_id: "u1", user_name: "Ada", session_id: null, key_id: null, address: "127.0.0.1" };
  const line: AuditLine = { id: "1", at: "2026-11-20T08:03:52Z", actor, action: "key.create", target_id: "k", user_id: "u1", user_name: "Ada", detail: {} };

  it("names its actor and its action", () => {
    const kinds = (["user", "key", "command", "system"] as const).map((kind) => actorName({ ...line, actor: { ...actor, kind } }, en));
    expect(kinds).toEqual(["Ada", "Ada, by key", "Command line", "Server"]);
    expect([actionName("key.create", en), actionName("new.action", en)]).toEqual(["Key created", "new.action"]);
  });

  it("shows the values that are set", () => {
    const detail = { shared: true, amount: null, bounds: { addresses: ["203.0.113.0/24", "::1"], models: null, credits_per_day: 5_000 }, odd: [{ a: 1, b: "x" }] };
    expect(detailText({ ...line, detail: detail as unknown as AuditLine["detail"] }, en, format)).toBe("Amount: none · Shared: yes · Credits per day: 5,000 · Addresses: 203.0.113.0/24, ::1 · odd: 1 x");
    expect(detailText({ ...line, detail: { limits: { expires_at_micros: 1_795_400_000_000_000 } } as unknown as AuditLine["detail"] }, en, format)).toMatch(/^Expires: 2\d Nov 2026, /);
  });

  it("shows the old value beside the new one", () => {
    const text = (detail: unknown) => detailText({ ...line, detail: detail as AuditLine["detail"] }, en, format);
    expect(text({ plan: "pro", sessions_ended: 1, before: { plan: "starter" } })).toBe("Plan: starter → pro · Sessions ended: 1");
    expect(text({ measure: "money", amount: null, before: { amount: "5 USD" } })).toBe("Amount: 5 USD → none · Measure: money");
    expect(text({ measure: "money", amount: "50 USD", before: { amount: null } })).toBe("Amount: none → 50 USD · Measure: money");
    const before = { bounds: { credits_per_day: 5_000, models: ["fast"] } };
    expect(text({ label: "changed", before, after: { bounds: { credits_per_day: 9_000, models: ["fast"] } } })).toBe("Label: changed · Credits per day: 5,000 → 9,000");
    expect(text({ before: {}, after: before })).toBe("Credits per day: none → 5,000 · Models: none → fast");
    expect(text({ before, after: {} })).toBe("Credits per day: 5,000 → none · Models: fast → none");
  });
});

describe("the dialogs of users", () => {
  const bob = user("Bob", "bob@example.com");
  const program: User = { ...bob, name: "reports", kind: "service", email: null };

  it("show a password link also if its dialog was closed before the response", async () => {
    let respond: (response: Response) => void = () => undefined;
    vi.stubGlobal("fetch", () => new Promise<Response>((resolve) => { respond = resolve; }));
    const onLink = vi.fn();
    const client = new QueryClient();
    const page = (child?: ReactNode) => <QueryClientProvider client={client}>{child}</QueryClientProvider>;
    const { rerender } = render(page(<UserTaskDialog task={{ kind: "link", user: bob }} onClose={() => undefined} onLink={onLink} />));
    await userEvent.click(screen.getByRole("button", { name: "Create password link" }));
    rerender(page());
    expect(screen.queryByRole("dialog")).toBeNull();
    respond(new Response(JSON.stringify({ url: "https://x/link#tgl_a", expires_at: "2026-11-21T08:03:52Z" })));
    await waitFor(() => expect(onLink).toHaveBeenCalledWith({ kind: "password", name: "Bob", url: "https://x/link#tgl_a", expiresAt: "2026-11-21T08:03:52Z" }));
  });

  it("offer a service user neither a password link nor a role", async () => {
    serve({ "GET /api/me": { body: { user: { id: "u1" }, acts_as: "admin", roles: [] } }, "GET /api/plans": { body: { items: [PLAN], next: null } } });
    const names = (of: User) => userActions(of, en, vi.fn()).map(({ name }) => name);
    expect(names(bob)).toEqual(["Edit user", "Create password link", "End sessions", "Suspend user"]);
    expect(names(program)).toEqual(["Edit user", "End sessions", "Suspend user"]);
    const { unmount } = show(<UserTaskDialog task={{ kind: "edit", user: program }} onClose={() => undefined} onLink={vi.fn()} />);
    expect(screen.getByLabelText("Plan")).toBeVisible();
    expect(screen.queryByLabelText("Role")).toBeNull();
    unmount();
    show(<CreateUserDialog onClose={() => undefined} onLink={vi.fn()} />);
    expect(screen.getByLabelText("Role")).toBeVisible();
    await userEvent.selectOptions(screen.getByLabelText(en.users.kind), "service");
    expect(screen.queryByLabelText("Role")).toBeNull();
  });
});

describe("LinkDialog", () => {
  it("closes only after the reader has confirmed", async () => {
    const done = vi.fn();
    show(<LinkDialog link={{ kind: "invite", name: "<b>Bob</b>", url: "https://x/link#tgl_a", expiresAt: "2026-11-27T08:00:00Z" }} onDone={done} />);
    expect(screen.getByText("Invitation for <b>Bob</b>")).toBeVisible();
    await userEvent.keyboard("{Escape}");
    expect(screen.getByRole("button", { name: "Done" })).toBeDisabled();
    await userEvent.click(screen.getByLabelText("I have copied the link"));
    await userEvent.click(screen.getByRole("button", { name: "Done" }));
    expect(done).toHaveBeenCalledOnce();
  });
});

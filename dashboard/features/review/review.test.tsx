import { readFileSync } from "node:fs";

import { fireEvent, screen, within } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";

import { ReviewPage } from "@/features/review/review-page";
import { daysBefore } from "@/features/review/use-review";
import { show } from "@/tests/render";
import { refusal, serve } from "@/tests/server";

const MEMBER = { user: { id: "u1", name: "Ada", email: "ada@example.com", plan: "starter", role: "member", kind: "person", status: "active", created_at: "2026-11-01T00:00:00Z" }, acts_as: "member", roles: ["finance", "team_lead"], session_id: "s", key_id: null };
const REVIEW = (JSON.parse(readFileSync("../examples/insights/runtime.json", "utf8")) as Record<string, object>)["review_status"] ?? {};

const BRIEF = JSON.parse(readFileSync("../examples/insights/brief_test.json", "utf8")) as object;

const VERSION = (REVIEW as { figures_version?: number }).figures_version;

describe("the page of a review", () => {
  it("shows the decisions and sends a sign-off", async () => {
    const seen = serve({ "GET /api/me": { body: MEMBER }, "GET /review/status": { body: REVIEW }, "POST /review/signoff": { body: REVIEW } });
    show(<ReviewPage />);
    expect(await screen.findByText("Partly approved")).toBeInTheDocument();
    expect(screen.getByRole("table", { name: "Decisions" })).toHaveTextContent("team lead");
    expect(screen.getByRole("button", { name: "Reject" })).toBeDisabled();
    fireEvent.change(screen.getByLabelText("Role"), { target: { value: "finance" } });
    fireEvent.change(screen.getByLabelText("Comment"), { target: { value: "as billed" } });
    fireEvent.click(screen.getByRole("button", { name: "Approve" }));
    await vi.waitFor(() => expect(seen.some(({ line }) => line === "POST /review/signoff")).toBe(true));
    expect(seen.find(({ line }) => line === "POST /review/signoff")?.body).toEqual({ role: "finance", approve: true, id: "2026-11-20", figures_version: VERSION, comment: "as billed" });
  });

  it("does not approve with the Enter key, and asks nobody without a role", async () => {
    const seen = serve({ "GET /api/me": { body: MEMBER }, "GET /review/status": { body: REVIEW }, "POST /review/signoff": { body: REVIEW } });
    const { unmount } = show(<ReviewPage />);
    fireEvent.change(await screen.findByLabelText("Comment"), { target: { value: "wrong" } });
    fireEvent.submit(screen.getByLabelText("Comment"));
    fireEvent.click(screen.getByRole("button", { name: "Reject" }));
    const decisions = () => seen.filter(({ line }) => line === "POST /review/signoff").map(({ body }) => body);
    await vi.waitFor(() => expect(decisions()).toContainEqual(expect.objectContaining({ approve: false, comment: "wrong" })));
    expect(decisions()).toHaveLength(1);
    unmount();
    serve({ "GET /api/me": { body: { ...MEMBER, roles: [] } }, "GET /review/status": { body: REVIEW } });
    show(<ReviewPage />);
    expect(await screen.findByText("Partly approved")).toBeInTheDocument();
    expect(screen.queryByRole("button", { name: "Approve" })).toBeNull();
  });

  it("shows the figures that are approved, their difference to the usual, and the way to the day", async () => {
    serve({ "GET /api/me": { body: MEMBER }, "GET /review/status": { body: REVIEW }, "GET /brief/2026-11-20": { body: BRIEF } });
    show(<ReviewPage />);
    const figures = await screen.findByLabelText("Reviewed figures");
    expect(figures).toHaveTextContent(/Cost\$12\.50*Difference to the same weekday\$[0-9.]+ (more|less) \(.[0-9.]+ %\)Requests1,000/);
    expect(figures).toHaveTextContent(/Requests with an unknown cost\d+/);
    expect(screen.getByRole("link", { name: "Show the day in full" })).toHaveAttribute("href", "/dashboard/day?day=2026-11-20");
  });

  it("has no button that would be refused", async () => {
    const role = (name: string, state: string) => ({ role: name, state, at: null });
    serve({ "GET /api/me": { body: MEMBER }, "GET /review/status": { body: { ...REVIEW, state: "collecting", complete: false } } });
    const { unmount } = show(<ReviewPage />);
    expect(await screen.findByText(/The day is not over/)).toBeVisible();
    expect(screen.queryByRole("button", { name: "Approve" })).toBeNull();
    unmount();
    serve({ "GET /api/me": { body: MEMBER }, "GET /review/status": { body: { ...REVIEW, state: "approved", required: [role("finance", "approved"), role("team_lead", "approved")] } } });
    show(<ReviewPage />);
    expect(await screen.findByText("Your roles have approved these figures.")).toBeVisible();
    expect(screen.queryByRole("button", { name: "Approve" })).toBeNull();
  });

  it("names who decided, and lets nobody decide twice about the same figures", async () => {
    const at = "2026-11-21T02:00:00Z";
    const decided = { ...REVIEW, required: [{ role: "team_lead", state: "approved", at }, { role: "finance", state: "waiting", at: null }], history: [{ at, role: "team_lead", approve: true, comment: null, user: { id: "u1", name: "Ada" } }] };
    serve({ "GET /api/me": { body: MEMBER }, "GET /review/status": { body: decided } });
    show(<ReviewPage />);
    expect(await screen.findByRole("table", { name: "Decisions" })).toHaveTextContent("Ada");
    expect(screen.getByText(/You have decided about these figures/)).toBeVisible();
    expect(screen.queryByRole("button", { name: "Approve" })).toBeNull();
  });

  it("lists the days without approval when asked, and approves several with one comment", async () => {
    const seen: { line: string; body: unknown }[] = [];
    const newest = daysBefore(new Date());
    vi.stubGlobal("fetch", (address: string, init?: RequestInit) => {
      const url = new URL(address, "http://x");
      const id = url.searchParams.get("id") ?? "2026-11-20";
      seen.push({ line: `${init?.method ?? "GET"} ${url.pathname}`, body: typeof init?.body === "string" ? JSON.parse(init.body) : id });
      if (url.pathname === "/api/me") return Promise.resolve(Response.json(MEMBER));
      if (url.pathname.startsWith("/brief/")) return Promise.resolve(Response.json({ ...BRIEF, figures_version: 77 }));
      const isOpen = newest.indexOf(id) < 2;
      return Promise.resolve(Response.json({ ...REVIEW, id, date: id, state: isOpen ? "partly_approved" : "approved" }));
    });
    show(<ReviewPage />);
    fireEvent.click(await screen.findByRole("button", { name: "Show the last 14 days" }));
    const list = await screen.findByRole("table", { name: "Days without approval" });
    for (const day of newest.slice(0, 2)) fireEvent.click(await screen.findByRole("checkbox", { name: `Choose ${day}` }));
    expect(within(list).getAllByRole("row")).toHaveLength(3);
    fireEvent.change(screen.getAllByLabelText("Comment").at(-1) ?? document.body, { target: { value: "as billed" } });
    fireEvent.click(screen.getByRole("button", { name: "Approve 2 days" }));
    const decisions = () => seen.filter(({ line }) => line === "POST /review/signoff").map(({ body }) => body);
    await vi.waitFor(() => expect(decisions()).toHaveLength(2));
    expect(decisions()).toEqual(newest.slice(0, 2).map((id) => ({ role: "finance", approve: true, id, figures_version: 77, comment: "as billed" })));
  });

  it("shows the change of a reopened day", async () => {
    const reopened = { ...REVIEW, state: "reopened", difference: { requests: 1, tokens: 3, cost: { amount_nano: 33_000_000, currency: "USD" }, refused: 4, own_cost: { amount_nano: 0, currency: "USD" } } };
    serve({ "GET /api/me": { body: MEMBER }, "GET /review/status": { body: reopened } });
    show(<ReviewPage />);
    expect(await screen.findByText("Reopened")).toBeInTheDocument();
    expect(screen.getByText(/Since the last approval: 1 requests/)).toBeInTheDocument();
    expect(screen.getByText(/Apart from these: 4 refused requests/)).toBeInTheDocument();
  });

  it("shows why a decision was refused", async () => {
    serve({ "GET /api/me": { body: MEMBER }, "GET /review/status": { body: REVIEW }, "POST /review/signoff": refusal("conflict", 409, "the day is not over") });
    show(<ReviewPage />);
    fireEvent.click(await screen.findByRole("button", { name: "Approve" }));
    expect(await screen.findByText("the day is not over")).toBeInTheDocument();
  });

  it("shows why there is no review", async () => {
    serve({ "GET /api/me": { body: MEMBER }, "GET /review/status": refusal("not_found", 404, "no review with this id is visible to you") });
    show(<ReviewPage />);
    expect(await screen.findByText("no review with this id is visible to you")).toBeInTheDocument();
  });
});

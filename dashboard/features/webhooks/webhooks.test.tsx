import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { beforeEach, describe, expect, it } from "vitest";

import { webhookShape } from "@/features/webhooks/webhook-dialog";
import { chosen, isIncluded } from "@/features/webhooks/webhook-words";
import { WebhooksPage } from "@/features/webhooks/webhooks-page";
import { en } from "@/messages/en";
import { address, router, visit } from "@/tests/navigation";
import { SITE, show } from "@/tests/render";
import { refusal, serve } from "@/tests/server";

const ADMIN = { user: { id: "u1", name: "Root", email: "root@example.com", plan: "starter", role: "admin", kind: "person", status: "active", created_at: "2026-11-01T00:00:00Z" }, acts_as: "admin", roles: [], finance: true, session_id: "s", key_id: null };
const HOOK = { id: "w1", url: "https://hooks.example.com/tollgate", events: ["invoice.*"], enabled: true, disabled_at: null, delivered_at: "2026-11-21T10:00:00Z", failing: null, previous_until: null, created_at: "2026-11-20T08:03:52Z", updated_at: "2026-11-20T08:03:52Z" };
const FAILED = { id: "d1", event: "invoice.paid", object_id: "i1", state: "failed", attempts: 12, status: 500, error: "the receiver responded with 500", next_at: null, created_at: "2026-11-21T10:00:00Z", body: { type: "invoice.paid" } };
const DELIVERIES = "GET /api/webhooks/w1/deliveries";

function open(answers: Parameters<typeof serve>[0] = {}) {
  return serve({ "GET /api/site": { body: { ...SITE, billing: true } }, "GET /api/me": { body: ADMIN }, "GET /api/webhooks": { body: { items: [HOOK], next: null } }, [DELIVERIES]: { body: { items: [FAILED], next: null } }, ...answers });
}

beforeEach(() => visit("/dashboard/webhooks"));

describe("the page of webhooks", () => {
  it("lists webhooks with their events", async () => {
    open();
    show(<WebhooksPage />);
    fireEvent.click(await screen.findByRole("row", { name: /hooks\.example\.com\/tollgate.*invoice\.\*.*Enabled/ }));
    expect(router.replace).toHaveBeenCalledWith("/dashboard/webhooks?id=w1", { scroll: false });
  });

  it("adds a webhook, keeps what was typed after a refusal, and shows the secret once", async () => {
    address.query = "create=1";
    const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=";
    const seen = open({ "POST /api/webhooks": [refusal("unprocessable", 422, "the address is a metadata address"), { status: 201, body: { ...HOOK, secret } }] });
    show(<WebhooksPage />);
    const dialog = await screen.findByRole("dialog", { name: "Add webhook" });
    const save = within(dialog).getByRole("button", { name: "Add webhook" });
    fireEvent.click(save);
    expect(await within(dialog).findByText("Enter a URL that begins with https:// or http://")).toBeVisible();
    fireEvent.change(within(dialog).getByLabelText("URL"), { target: { value: "https://hooks.example.com/tollgate" } });
    fireEvent.click(within(dialog).getByLabelText("All events"));
    fireEvent.click(save);
    expect(await within(dialog).findByText("Choose at least one event")).toBeVisible();
    fireEvent.click(within(dialog).getByLabelText("All events of invoices"));
    fireEvent.click(save);
    expect(await within(dialog).findByText("the address is a metadata address")).toBeVisible();
    expect(within(dialog).getByLabelText("URL")).toHaveValue("https://hooks.example.com/tollgate");
    fireEvent.click(save);
    expect(await screen.findByTestId("secret")).toHaveTextContent(secret);
    expect(seen.find(({ line }) => line === "POST /api/webhooks")?.body).toEqual({ url: "https://hooks.example.com/tollgate", events: ["invoice.*"] });
    const done = screen.getByRole("button", { name: en.keys.done });
    expect(done).toBeDisabled();
    fireEvent.click(screen.getByRole("checkbox", { name: en.webhooks.stored }));
    fireEvent.click(done);
    await waitFor(() => expect(screen.queryByTestId("secret")).toBeNull());
  });

  it("sends a test event, and shows that deliveries are not accepted", async () => {
    address.query = "id=w1";
    const failing = { ...HOOK, failing: { deliveries: 3, since: "2026-11-21T10:00:00Z" } };
    const seen = open({
      "GET /api/webhooks": { body: { items: [failing], next: null } },
      "POST /api/webhooks/w1/test": [refusal("conflict", 409, "a test event of this webhook is not sent yet"), { status: 201, body: { ...FAILED, event: "webhook.test" } }],
    });
    show(<WebhooksPage />);
    expect(await screen.findByText("3 deliveries were not accepted yet")).toBeVisible();
    fireEvent.click(screen.getByRole("button", { name: "Send test event" }));
    expect(await screen.findByText("a test event of this webhook is not sent yet")).toBeVisible();
    const lists = () => seen.filter(({ line }) => line.startsWith(DELIVERIES)).length;
    const before = lists();
    fireEvent.click(screen.getByRole("button", { name: "Send test event" }));
    expect(await screen.findByRole("status")).toHaveTextContent("Sent.");
    await waitFor(() => expect(lists()).toBeGreaterThan(before));
  });

  it("changes only the URL and the events of a webhook", async () => {
    address.query = "id=w1";
    const seen = open({ "PATCH /api/webhooks/w1": { body: HOOK } });
    show(<WebhooksPage />);
    fireEvent.click(await screen.findByRole("button", { name: "Edit webhook" }));
    const dialog = await screen.findByRole("dialog", { name: "Edit webhook" });
    fireEvent.click(within(dialog).getByText("Single events"));
    fireEvent.click(within(dialog).getByLabelText("payment.failed"));
    fireEvent.click(within(dialog).getByRole("button", { name: "Save webhook" }));
    await waitFor(() => expect(seen.find(({ line }) => line.startsWith("PATCH"))?.body).toEqual({ url: HOOK.url, events: ["invoice.*", "payment.failed"] }));
  });

  it("replaces the secret, disables, enables and deletes", async () => {
    address.query = "id=w1";
    const secret = "whsec_other";
    const seen = open({ "POST /api/webhooks/w1/rotate": { body: { ...HOOK, secret, previous_until: "2026-11-22T10:00:00Z" } }, "PATCH /api/webhooks/w1": { body: { ...HOOK, enabled: false } }, "DELETE /api/webhooks/w1": { status: 204 } });
    show(<WebhooksPage />);
    const confirm = async (task: string) => {
      fireEvent.click(await screen.findByRole("button", { name: task }));
      fireEvent.click(within(await screen.findByRole("dialog", { name: task })).getByRole("button", { name: task }));
    };
    await confirm("Replace secret");
    expect(await screen.findByTestId("secret")).toHaveTextContent(secret);
    fireEvent.click(screen.getByRole("checkbox", { name: en.webhooks.stored }));
    fireEvent.click(screen.getByRole("button", { name: en.keys.done }));
    await confirm("Disable webhook");
    await waitFor(() => expect(seen.find(({ line }) => line.startsWith("PATCH"))?.body).toEqual({ enabled: false }));
    await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
    await confirm("Delete webhook");
    await waitFor(() => expect(router.replace).toHaveBeenLastCalledWith("/dashboard/webhooks", { scroll: false }));
    expect(seen.some(({ line }) => line === "DELETE /api/webhooks/w1")).toBe(true);
  });

  it("says that it was not enabled, and forgets this when something else is asked", async () => {
    address.query = "id=w1";
    open({ "GET /api/webhooks": { body: { items: [{ ...HOOK, enabled: false }], next: null } }, "PATCH /api/webhooks/w1": refusal("unavailable", 503, "the store is busy") });
    show(<WebhooksPage />);
    fireEvent.click(await screen.findByRole("button", { name: en.webhooks.tasks.enable }));
    // The other one says that the webhook is disabled.
    await waitFor(() => expect(screen.getAllByRole("alert")).toHaveLength(2));
    fireEvent.click(screen.getByRole("button", { name: en.webhooks.tasks.delete }));
    const dialog = await screen.findByRole("dialog", { name: en.webhooks.tasks.delete });
    expect(within(dialog).queryByRole("alert")).toBeNull();
  });

  it("says why a delivery failed, and sends it again", async () => {
    address.query = "id=w1";
    const seen = open({ "POST /api/webhooks/w1/deliveries/d1/replay": { body: { ...FAILED, state: "waiting" } }, "POST /api/webhooks/w1/replay": { body: { replayed: 3 } } });
    show(<WebhooksPage />);
    expect(await screen.findByText("the receiver responded with 500")).toBeVisible();
    fireEvent.click(screen.getByRole("button", { name: /^Send again: invoice\.paid/ }));
    await waitFor(() => expect(seen.some(({ line }) => line === "POST /api/webhooks/w1/deliveries/d1/replay")).toBe(true));
    fireEvent.click(screen.getByRole("button", { name: "Send failed ones again" }));
    const dialog = screen.getByRole("dialog", { name: "Send failed ones again" });
    fireEvent.change(within(dialog).getByLabelText("Failed since"), { target: { value: "1" } });
    fireEvent.click(within(dialog).getByRole("button", { name: "Send again" }));
    expect(await within(dialog).findByText("3 deliveries are sent again")).toBeVisible();
    const body = seen.find(({ line }) => line === "POST /api/webhooks/w1/replay")?.body as { since: string };
    expect(Math.abs(Date.now() - 3_600_000 - Date.parse(body.since))).toBeLessThan(60_000);
    fireEvent.click(within(dialog).getByRole("button", { name: "Cancel" }));
    fireEvent.click(await screen.findByRole("button", { name: "Failed" }));
    await waitFor(() => expect(seen.some(({ line }) => line.includes("state=failed"))).toBe(true));
  });

  it("is empty at first, and says that the server failed", async () => {
    open({ "GET /api/webhooks": { body: { items: [], next: null } } });
    const view = show(<WebhooksPage />);
    expect(await screen.findByText("No webhooks yet")).toBeVisible();
    view.unmount();
    open({ "GET /api/webhooks": refusal("internal", 500) });
    const other = show(<WebhooksPage />);
    expect(await screen.findByText("The server failed (500)")).toBeVisible();
    other.unmount();
    address.query = "id=w1";
    open({ [DELIVERIES]: refusal("internal", 500) });
    show(<WebhooksPage />);
    expect(await screen.findByText("The server failed (500)")).toBeVisible();
  });

  it("is in the navigation of users with the role finance, who add webhooks", async () => {
    const seen = open({ "GET /api/me": { body: { ...ADMIN, acts_as: "member", roles: ["finance"] } } });
    show(<WebhooksPage />);
    expect(await screen.findByRole("row", { name: /hooks\.example\.com\/tollgate/ })).toBeVisible();
    const links = screen.getAllByRole("link").map((link) => link.getAttribute("href"));
    expect(links).toEqual(expect.arrayContaining(["/dashboard/webhooks", "/dashboard/billing-admin", "/dashboard/review"]));
    for (const page of ["users", "plans", "audit", "configuration"]) expect(links).not.toContain(`/dashboard/${page}`);
    fireEvent.click(screen.getByRole("button", { name: "Add webhook" }));
    expect(router.replace).toHaveBeenCalledWith("/dashboard/webhooks?create=1", { scroll: false });
    expect(seen.some(({ line }) => line === "GET /api/webhooks")).toBe(true);
  });

  it("tells others that it is for admins and finance", async () => {
    const seen = open({ "GET /api/me": { body: { ...ADMIN, acts_as: "member", roles: [], finance: false } } });
    show(<WebhooksPage />);
    expect(await screen.findByText("This page is for admins and finance")).toBeVisible();
    expect(screen.queryByRole("link", { name: "Webhooks" })).toBeNull();
    expect(seen.some(({ line }) => line.includes("/api/webhooks"))).toBe(false);
  });
});

describe("the choice of events", () => {
  it("replaces single events by the pattern that contains them", () => {
    expect(chosen(["invoice.paid", "payment.failed"], "invoice.*", true)).toEqual(["payment.failed", "invoice.*"]);
    expect(chosen(["invoice.paid"], "*", true)).toEqual(["*"]);
    expect(chosen(["*"], "*", false)).toEqual([]);
    expect(isIncluded(["invoice.*"], "invoice.paid")).toBe(true);
    expect(isIncluded(["invoice.*"], "payment.paid")).toBe(false);
    expect(isIncluded(["*"], "payment.*")).toBe(true);
    expect(isIncluded(["*"], "*")).toBe(false);
  });

  it("needs a URL of the web", () => {
    expect(webhookShape(en).safeParse({ url: "ftp://example.com" }).success).toBe(false);
    expect(webhookShape(en).safeParse({ url: "https://a b" }).success).toBe(false);
    expect(webhookShape(en).parse({ url: " https://example.com/a " })).toEqual({ url: "https://example.com/a" });
  });
});

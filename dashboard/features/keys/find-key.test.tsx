import { screen } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";

import { FindDialog, lookupOf } from "@/features/keys/find-dialog";
import { RevokeDialog } from "@/features/keys/task-dialogs";
import { KeyDrawer } from "@/features/keys/key-drawer";
import { en } from "@/messages/en";
import { show } from "@/tests/render";
import { serve } from "@/tests/server";

const SECRET = `acme_${"0123456789abcdef".repeat(2)}`;
const USER = { id: "u1", name: "Ada", email: "ada@example.com", plan: "starter" };
const KEY = {
  id: "k1", user_id: "u1", admin: false, labels: {}, label: "laptop", prefix: "acme", last4: "cdef", created_at: "2026-11-01T00:00:00Z", expires_at: null, revoked_at: null,
  last_used_at: null, previous: null, scopes: { models: null, routes: null }, limits: { credits_per_day: null, requests_per_minute: null }, addresses: null,
};

describe("a leaked key", () => {
  it("is looked up by its end or as a whole, and by nothing else", () => {
    expect(lookupOf(" …9F3C ")).toEqual({ last4: "9f3c" });
    expect(lookupOf(SECRET)).toEqual({ key: SECRET });
    for (const text of ["", "9f3", "laptop", "acme_0123"]) expect(lookupOf(text)).toBeUndefined();
  });

  it("is sent in the body, and is revoked with the next click", async () => {
    const seen = serve({ "POST /api/keys/lookup": { body: { items: [{ ...KEY, user: USER }] } } });
    const onRevoke = vi.fn();
    show(<FindDialog onRevoke={onRevoke} onOpen={() => undefined} onClose={() => undefined} />);
    await userEvent.type(screen.getByLabelText(en.keys.findField), SECRET);
    await userEvent.click(screen.getByRole("button", { name: en.keys.findSubmit }));
    await userEvent.click(await screen.findByRole("button", { name: en.keys.revoke }));
    expect(onRevoke).toHaveBeenCalledWith(expect.objectContaining({ id: "k1" }));
    expect(seen.map(({ line }) => line).some((line) => line.includes(SECRET))).toBe(false);
    expect(seen.find(({ line }) => line.startsWith("POST"))?.body).toEqual({ key: SECRET });
    expect(window.location.href + JSON.stringify({ ...localStorage, ...sessionStorage })).not.toContain(SECRET);
  });
});

describe("the dialog that revokes a leaked key", () => {
  it("says that the key is revoked, and asks for nothing", async () => {
    serve({ "DELETE /api/keys/k1": { status: 204 } });
    const [onRevoked, onClose] = [vi.fn(), vi.fn()];
    show(<RevokeDialog apiKey={KEY} isLeaked onClose={onClose} onRevoked={onRevoked} />);
    await userEvent.click(screen.getByRole("button", { name: en.keys.revoke }));
    await vi.waitFor(() => expect(onRevoked).toHaveBeenCalledOnce());
    expect(onClose).not.toHaveBeenCalled();
  });
});

describe("the page of a key", () => {
  it("shows its user, its last client, its calls and its old secret", async () => {
    const tokens = { input: 0, cached_input: 0, cache_write: 0, output: 0, reasoning: 0, total: 0 };
    const day = { date: "2026-11-20", requests: 12, credits: 12, tokens, cost: { amount_nano: 0, currency: "USD" }, unpriced_requests: 0 };
    serve({
      "GET /api/me": { body: { user: { ...USER, role: "admin", kind: "person", status: "active", created_at: "2026-11-01T00:00:00Z" }, acts_as: "admin", roles: [], session_id: "s", key_id: null } },
      "GET /api/keys/k1": {
        body: {
          ...KEY, user: USER, use: { at: "2026-11-20T09:12:00Z", address: "203.0.113.7", client: "openai-python/1.40.0", days: [day] },
          old_secret: { last4: "abcd", last_used_at: null, ends_at: "2026-11-21T10:00:00Z" },
        },
      },
    });
    show(<KeyDrawer id="k1" onTask={() => undefined} onClose={() => undefined} />);
    expect(await screen.findByText("openai-python/1.40.0 from 203.0.113.7")).toBeInTheDocument();
    expect(screen.getByText(/Not used since the rotation/)).toBeInTheDocument();
    expect(screen.getByText("2026-11-20")).toBeInTheDocument();
    expect(await screen.findByRole("figure", { name: "12 calls in 30 days, at most 12 on a day" })).toBeInTheDocument();
    expect(screen.getByRole("link", { name: "Explain a request" })).toHaveAttribute("href", "/dashboard/explain?key=k1");
    expect(await screen.findByRole("link", { name: "ada@example.com" })).toHaveAttribute("href", "/dashboard/users?id=u1");
  });
});

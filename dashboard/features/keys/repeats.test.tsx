import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import type { ReactNode } from "react";
import { describe, expect, it, vi } from "vitest";

import { CreateDialog } from "@/features/keys/create-dialog";
import { RotateDialog } from "@/features/keys/task-dialogs";
import { KeyField } from "@/features/playground/key-field";
import { KeyStep } from "@/features/setup/key-step";
import { en } from "@/messages/en";
import { SITE, show } from "@/tests/render";
import { serve } from "@/tests/server";

const KEY = {
  id: "k1", user_id: "u1", admin: false, labels: {}, label: "laptop", prefix: "acme", last4: "cdef", created_at: "2026-11-01T00:00:00Z", expires_at: null, revoked_at: null,
  last_used_at: null, previous: null, scopes: { models: null, routes: null }, limits: { credits_per_day: null, requests_per_minute: null }, addresses: null,
};
const LOST = { isLost: true };

function createServer() {
  const created = { status: 201, body: { ...KEY, key: "acme_secret" } };
  return serve({
    "GET /api/site": { body: SITE },
    "GET /api/me": { body: { user: { id: "u1" }, acts_as: "member", roles: [] } },
    "GET /api/dashboard/overview": { body: { plan: { name: "starter", credits_per_day: 1000 } } },
    "POST /api/keys": [LOST, created],
  });
}

type SeenRequests = ReturnType<typeof serve>;

/** The values of `Idempotency-Key` of the creations and rotations. */
function names(seen: SeenRequests): (string | undefined)[] {
  return seen.filter(({ line }) => line.startsWith("POST")).map(({ headers }) => headers["Idempotency-Key"]);
}

async function expectRepeat(seen: SeenRequests): Promise<void> {
  await waitFor(() => expect(names(seen)).toHaveLength(2));
  const [first, second] = names(seen);
  expect(first).toMatch(/^[0-9a-f]{32}$/);
  expect(second).toBe(first);
}

describe("a change of a key whose response is lost", () => {
  it("is repeated as the same rotation, and with another grace as a new one", async () => {
    const seen = serve({ "POST /api/keys/k1/rotate": [LOST, LOST, { body: { ...KEY, key: "acme_secret" } }] });
    const onRotated = vi.fn();
    show(<RotateDialog apiKey={KEY} onClose={() => undefined} onRotated={onRotated} />);
    const submit = screen.getByRole("button", { name: en.keys.rotateSubmit });
    await userEvent.click(submit);
    expect(await screen.findByRole("alert")).toBeVisible();
    await userEvent.click(submit);
    await expectRepeat(seen);
    await waitFor(() => expect(submit).toBeEnabled());
    await userEvent.click(screen.getByRole("radio", { name: en.keys.graces["7d"] }));
    await userEvent.click(submit);
    await waitFor(() => expect(onRotated).toHaveBeenCalledOnce());
    const [first, , third] = names(seen);
    expect(third).not.toBe(first);
  });

  it("reports the secret of a rotation also after its dialog was closed", async () => {
    let respond: (response: Response) => void = () => undefined;
    vi.stubGlobal("fetch", () => new Promise<Response>((resolve) => { respond = resolve; }));
    const onRotated = vi.fn();
    const client = new QueryClient();
    const page = (child?: ReactNode) => <QueryClientProvider client={client}>{child}</QueryClientProvider>;
    const { rerender } = render(page(<RotateDialog apiKey={KEY} onClose={() => undefined} onRotated={onRotated} />));
    await userEvent.click(screen.getByRole("button", { name: en.keys.rotateSubmit }));
    rerender(page());
    expect(screen.queryByRole("dialog")).toBeNull();
    respond(new Response(JSON.stringify({ ...KEY, key: "acme_secret" })));
    await waitFor(() => expect(onRotated).toHaveBeenCalledWith(expect.objectContaining({ key: "acme_secret" })));
  });

  it("is repeated as the same creation", async () => {
    const seen = createServer();
    const onCreated = vi.fn();
    show(<CreateDialog onClose={() => undefined} onCreated={onCreated} />);
    await userEvent.type(screen.getByLabelText("Label"), "laptop");
    await userEvent.click(screen.getByRole("button", { name: en.keys.create }));
    expect(await screen.findByRole("alert")).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: en.keys.create }));
    await waitFor(() => expect(onCreated).toHaveBeenCalledOnce());
    await expectRepeat(seen);
  });

  it("is repeated as the same creation in the setup", async () => {
    const seen = createServer();
    const onCreated = vi.fn();
    show(<KeyStep onCreated={onCreated} />);
    await userEvent.click(screen.getByRole("button", { name: en.keys.create }));
    expect(await screen.findByRole("alert")).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: en.keys.create }));
    await waitFor(() => expect(onCreated).toHaveBeenCalledOnce());
    await expectRepeat(seen);
  });

  it("is repeated as the same creation, with the same expiry, in the playground", async () => {
    const seen = createServer();
    const onChange = vi.fn();
    show(<KeyField value="" error={undefined} prefix="acme" onChange={onChange} />);
    await userEvent.click(screen.getByRole("button", { name: en.playground.keyCreate }));
    expect(await screen.findByRole("alert")).toBeVisible();
    await userEvent.click(screen.getByRole("button", { name: en.playground.keyCreate }));
    await waitFor(() => expect(onChange).toHaveBeenCalledWith("acme_secret"));
    await expectRepeat(seen);
    const [first, second] = seen.filter(({ line }) => line.startsWith("POST"));
    expect(second?.body).toEqual(first?.body);
  });
});

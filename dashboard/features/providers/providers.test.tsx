import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { render, screen, waitFor, within } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";

import { AddCredential, newCredentialShape } from "@/features/providers/credential-forms";
import { type Provider, stateOf, successOf, usedCredential, withoutCredential } from "@/features/providers/provider-state";
import { failureText } from "@/features/providers/provider-table";
import { ProvidersPage } from "@/features/providers/providers-page";
import { en } from "@/messages/en";
import { visit } from "@/tests/navigation";
import { SITE, show } from "@/tests/render";
import { refusal, serve } from "@/tests/server";

const SECRET = "sk-proj-0123456789";
const HEALTH: Provider["health"] = { status: "ok", requests: 4, failures: 1, last_success_at: null, last_failure_at: null, last_failure_status: null };
const PROVIDER: Provider = { name: "openai", kind: "openai", host: null, formats: ["chat"], offered: false, credential: { state: "shared", own: [], shared: null, configured: null }, health: HEALTH, targets: null };
const STORED = { id: "1", provider: "openai", label: "team", last4: "6789", shared: false, created_at: "2026-11-01T00:00:00Z", updated_at: "2026-11-01T00:00:00Z" };

function failing(status: number | null): Provider {
  return { ...PROVIDER, health: { ...HEALTH, status: "failing", last_failure_status: status } };
}

describe("stateOf", () => {
  it.each([
    ["ok", { ...PROVIDER, health: { ...HEALTH, requests: 100, failures: 4 } }],
    ["ok", { ...PROVIDER, health: { ...HEALTH, requests: 1, failures: 0 } }],
    ["unsteady", { ...PROVIDER, health: { ...HEALTH, requests: 1000, failures: 101 } }],
    ["unsteady", PROVIDER],
    ["unknown", { ...PROVIDER, health: { ...HEALTH, status: "unknown" } }],
    ["refused", failing(401)],
    ["refused", failing(403)],
    ["limited", failing(429)],
    ["failing", failing(503)],
    ["failing", failing(null)],
    ["missing", { ...failing(503), credential: { ...PROVIDER.credential, state: "missing" } }],
  ] as [string, Provider][])("is %s", (state, provider) => {
    expect(stateOf(provider)).toBe(state);
  });

  it("lists what a credential repairs, failures first", () => {
    const missing: Provider = { ...PROVIDER, name: "a", credential: { ...PROVIDER.credential, state: "missing" } };
    const refused: Provider = { ...failing(401), name: "b" };
    const off: Provider = { ...missing, name: "c", offered: true };
    expect(withoutCredential([off, missing, PROVIDER, failing(500), refused]).map(({ name }) => name)).toEqual(["b", "a"]);
  });

  it("has no share of success without requests", () => {
    expect(successOf(PROVIDER)).toBe(0.75);
    expect(successOf({ ...PROVIDER, health: { ...HEALTH, requests: 0, failures: 0 } })).toBeUndefined();
  });
});

describe("a provider that refuses its credential", () => {
  const listed = (label: string) => ({ id: label, label, last4: "6789" });
  const vault = { own: [listed("new"), listed("old")], shared: [listed("night"), listed("day")] };
  const configured = (source: "configuration" | "vault" | "none", label: string | null = null) => ({ source, label, last4: null });

  it.each([
    ["new", { ...vault, state: "own", configured: configured("vault", "day") }],
    ["day", { ...vault, state: "shared", configured: configured("vault", "day") }],
    ["night", { ...vault, state: "shared", configured: configured("vault") }],
    ["night", { ...vault, state: "shared", configured: configured("none") }],
    [undefined, { ...vault, state: "shared", configured: configured("configuration") }],
    [undefined, { ...vault, state: "shared", shared: null, configured: null }],
    [undefined, { ...vault, state: "not_needed", configured: configured("none") }],
  ] as [string | undefined, Provider["credential"]][])("was called with %s for %o", (id, credential) => {
    expect(usedCredential({ ...failing(401), credential })).toBe(id);
  });

  async function showRefused(credential: Provider["credential"]): Promise<HTMLElement> {
    visit("/dashboard/providers");
    const stored = (shared: boolean) => (shared ? vault.shared : vault.own).map((key) => ({ ...STORED, ...key, shared }));
    serve({
      "GET /api/site": { body: SITE }, "GET /api/me": { body: { user: { id: "u1", name: "Ada" }, acts_as: "admin", roles: [] } },
      "GET /api/providers": { body: { items: [{ ...failing(401), credential }] } },
      "GET /api/provider-keys": [{ body: { items: stored(true) } }, { body: { items: stored(false) } }],
    });
    show(<ProvidersPage />);
    return screen.findByRole("alert");
  }

  it("has the used secret replaced", async () => {
    const note = await showRefused({ ...vault, state: "shared", configured: configured("vault", "day") });
    await userEvent.click(await within(note).findByRole("button", { name: "Replace secret" }));
    expect(await screen.findByRole("dialog", { name: "Replace the secret of openai “day”" })).toBeVisible();
  });

  it("leads to the configuration if the credential is there", async () => {
    const note = await showRefused({ ...vault, state: "shared", configured: configured("configuration") });
    expect(note).toHaveTextContent("The credential comes from the configuration");
    expect(within(note).getByRole("link", { name: "Configuration" })).toHaveAttribute("href", "/dashboard/configuration");
    expect(within(note).queryByRole("button")).toBeNull();
  });
});

describe("the newest failure", () => {
  it("has no status of success: such a response was not complete", () => {
    expect([failureText(200, "now", en), failureText(429, "now", en), failureText(null, "now", en)]).toEqual(["Incomplete response, now", "429, now", "No response, now"]);
  });
});

describe("newCredentialShape", () => {
  const read = (fields: Record<string, string>) => newCredentialShape(en).safeParse({ provider: "openai", label: " team ", secret: ` ${SECRET}\n`, shared: "own", ...fields });

  it("removes the spaces around a pasted secret", () => {
    expect(read({}).data).toEqual({ provider: "openai", label: "team", secret: SECRET, shared: false });
    expect(read({ shared: "all" }).data?.shared).toBe(true);
  });

  it.each([{ label: " " }, { secret: "short" }, { secret: "sk-proj 0123456789" }, { secret: "sk-pröj-0123456789" }, { provider: "" }])("refuses %o", (fields) => {
    expect(read(fields).success).toBe(false);
  });
});

describe("the form of a credential", () => {
  function form() {
    const client = new QueryClient({ defaultOptions: { mutations: { networkMode: "always" } } });
    const onStored = vi.fn();
    const view = render(
      <QueryClientProvider client={client}>
        <AddCredential providers={["openai"]} provider="openai" mayShare={false} onClose={() => undefined} onStored={onStored} />
      </QueryClientProvider>,
    );
    return { client, onStored, view };
  }

  async function fill(): Promise<void> {
    await userEvent.type(screen.getByLabelText("Label"), "team");
    await userEvent.type(screen.getByLabelText("Secret"), SECRET);
    await userEvent.click(screen.getByRole("button", { name: "Add credential" }));
  }

  it("hides the secret, sends it once and forgets it", async () => {
    const seen = serve({ "POST /api/provider-keys": { status: 201, body: STORED } });
    const { client, onStored, view } = form();
    expect(screen.getByLabelText("Secret")).toHaveAttribute("type", "password");
    expect(screen.getByLabelText("Secret")).toHaveAttribute("autocomplete", "off");
    await fill();
    await waitFor(() => expect(onStored).toHaveBeenCalled());
    expect(seen.map(({ body }) => body)).toEqual([{ provider: "openai", label: "team", secret: SECRET, shared: false }]);
    view.unmount();
    await waitFor(() => expect(client.getMutationCache().getAll()).toEqual([]));
    expect(JSON.stringify(client.getQueryCache().getAll().map(({ state }) => state))).not.toContain(SECRET);
  });

  it("keeps the input if the server refuses it", async () => {
    serve({ "POST /api/provider-keys": refusal("conflict", 409, "the label is in use") });
    const { onStored } = form();
    await fill();
    expect(await screen.findByRole("alert")).toHaveTextContent("the label is in use");
    expect(screen.getByLabelText("Secret")).toHaveValue(SECRET);
    expect(onStored).not.toHaveBeenCalled();
  });
});

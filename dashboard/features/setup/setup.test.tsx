import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { act, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { beforeEach, describe, expect, it, vi } from "vitest";

import { ProviderStep } from "@/features/setup/provider-step";
import { SetupPage } from "@/features/setup/setup-page";
import { type SetupFacts, currentStep, exampleOf, isProviderReady } from "@/features/setup/setup-state";
import type { Schemas } from "@/lib/api";
import { router, visit } from "@/tests/navigation";
import { SITE, show } from "@/tests/render";
import { type Answer, refusal, serve } from "@/tests/server";

beforeEach(() => visit("/dashboard/setup"));

const NOW = new Date("2026-11-21T12:00:00Z");
const health = { status: "unknown", requests: 0, failures: 0, last_success_at: null, last_failure_at: null, last_failure_status: null } as const;
function provider(name: string, kind: string, state: Schemas["ProviderCredentials"]["state"]): Schemas["Provider"] {
  return { name, kind, host: null, formats: ["chat"], offered: false, credential: { state, own: [], shared: [], configured: null }, health };
}
const MOCK = provider("mock", "mock", "not_needed");
const KEY = { id: "k", label: "laptop", prefix: "acme", last4: "9f3c", revoked_at: null, expires_at: null } as unknown as Schemas["ApiKey"];
const request = (status: number) => ({ id: "r", status, refusal: null, model: "mock", route: null, tokens: null, cost: null }) as unknown as Schemas["RequestLine"];
const FACTS: SetupFacts = { needsAdmin: false, providers: [provider("openai", "openai", "missing"), MOCK], isProviderSkipped: false, keys: [], requests: [] };

describe("the current step", () => {
  it.each([
    ["admin", { needsAdmin: true }],
    ["provider", {}],
    ["key", { isProviderSkipped: true }],
    ["key", { providers: [provider("openai", "openai", "shared")] }],
    ["provider", { providers: [MOCK] }],
    ["key", { isProviderSkipped: true, keys: [{ ...KEY, revoked_at: "2026-11-20T00:00:00Z" }] }],
    ["key", { isProviderSkipped: true, keys: [{ ...KEY, expires_at: "2026-11-21T12:00:00Z" }] }],
    ["call", { isProviderSkipped: true, keys: [KEY] }],
    ["call", { isProviderSkipped: true, keys: [KEY], requests: [request(401)] }],
    [undefined, { requests: [request(500), request(200)] }],
  ] as [string | undefined, Partial<SetupFacts>][])("is %s for %o", (step, change) => {
    expect(currentStep({ ...FACTS, ...change }, NOW)).toBe(step);
  });

  it("needs a credential, or the reader's word", () => {
    const of = (state: "missing" | "own") => [MOCK, provider("openai", "openai", state)];
    expect([[], [MOCK], of("missing"), of("own")].map(isProviderReady)).toEqual([false, false, false, true]);
  });
});

describe("the example call", () => {
  const model = (name: string, change: Partial<Schemas["Model"]>) => ({ name, credential: "shared", formats: ["chat"], listed: false, ...change }) as Schemas["Model"];
  it("is of a model that the reader can use", () => {
    const models = [model("a", { credential: "missing", listed: true }), model("b", { formats: ["messages"] }), model("c", {}), model("fast", { listed: true })];
    expect(exampleOf(models, "https://x")?.body).toBe('{"model":"fast","messages":[{"role":"user","content":"Hello"}]}');
    expect(exampleOf([model("it's", {})], "https://x")).toBeUndefined();
  });
});

describe("ProviderStep", () => {
  it("shows a refused credential with its reason, and removes it", async () => {
    const added = vi.fn();
    const seen = serve({
      "GET /api/me": { body: { user: {}, acts_as: "admin", roles: [] } },
      "POST /api/provider-keys": { status: 201, body: { id: "c1", provider: "openai", label: "team", last4: "3XkQ" } },
      "POST /api/provider-keys/c1/test": [{ body: { ok: false, status: 401, latency_ms: 182, message: "the provider refused it" } }, { body: { ok: true, status: 200, latency_ms: 90, message: "ok" } }],
      "DELETE /api/provider-keys/c1": { status: 204 },
    });
    show(<ProviderStep providers={FACTS.providers} onAdded={added} onSkip={vi.fn()} onHeld={vi.fn()} />);
    await userEvent.type(screen.getByLabelText("Credential"), "sk-1");
    await userEvent.click(screen.getByRole("button", { name: "Add and test" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("the provider refused it");
    await userEvent.click(screen.getByRole("button", { name: "Enter another credential" }));
    expect(await screen.findByLabelText("Credential")).toHaveValue("");
    expect(seen.some(({ line }) => line === "DELETE /api/provider-keys/c1")).toBe(true);
    await userEvent.type(screen.getByLabelText("Credential"), "sk-2");
    await userEvent.click(screen.getByRole("button", { name: "Add and test" }));
    await waitFor(() => expect(added).toHaveBeenCalled());
  });

  it("keeps what was typed if the server refuses it", async () => {
    serve({ "GET /api/me": { body: { user: {}, acts_as: "admin", roles: [] } }, "POST /api/provider-keys": refusal("unprocessable", 422, "`secret` is too short") });
    show(<ProviderStep providers={FACTS.providers} onAdded={vi.fn()} onSkip={vi.fn()} onHeld={vi.fn()} />);
    await userEvent.type(screen.getByLabelText("Credential"), "sk-1");
    await userEvent.click(screen.getByRole("button", { name: "Add and test" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("`secret` is too short");
    expect(screen.getByLabelText("Credential")).toHaveValue("sk-1");
  });
});

describe("SetupPage", () => {
  it("keeps a refused credential in view when the server reports that one is stored", async () => {
    const list = (state: "own" | "missing") => ({ items: [provider("openai", "openai", state)] });
    const providers: Answer = { body: list("missing") };
    const seen = serve({
      "GET /api/site": { body: { ...SITE, llm: { base_url: "https://x" } } },
      "GET /api/me": { body: { user: { id: "u1", name: "Ada", email: "ada@example.com" }, acts_as: "admin", roles: [] } },
      "GET /api/providers": providers,
      "GET /api/keys": { body: { items: [], next: null } },
      "GET /api/models": { body: { items: [], next: null } },
      "GET /api/usage/requests": { body: { items: [], next: null } },
      "POST /api/provider-keys": { status: 201, body: { id: "c1", provider: "openai", label: "team", last4: "3XkQ" } },
      "POST /api/provider-keys/c1/test": { body: { ok: false, status: 401, latency_ms: 182, message: "the provider refused it" } },
      "DELETE /api/provider-keys/c1": { status: 204 },
    });
    const client = new QueryClient({ defaultOptions: { queries: { retry: false, networkMode: "always" }, mutations: { networkMode: "always" } } });
    render(<QueryClientProvider client={client}><SetupPage /></QueryClientProvider>);
    await userEvent.type(await screen.findByLabelText("Credential"), "sk-1");
    await userEvent.click(screen.getByRole("button", { name: "Add and test" }));
    expect(await screen.findByRole("alert")).toHaveTextContent("the provider refused it");
    providers.body = list("own");
    await act(() => client.refetchQueries({ queryKey: ["providers"] }));
    expect(client.getQueryData(["providers"])).toEqual(list("own"));
    expect(screen.getByRole("alert")).toHaveTextContent("the provider refused it");
    expect(screen.getByRole("heading", { name: "Add a provider" })).toBeVisible();
    providers.body = list("missing");
    await userEvent.click(screen.getByRole("button", { name: "Enter another credential" }));
    expect(await screen.findByLabelText("Credential")).toHaveValue("");
    expect(seen.some(({ line }) => line === "DELETE /api/provider-keys/c1")).toBe(true);
  });

  it("asks for the link of the first admin while the server has none", async () => {
    serve({ "GET /api/site": { body: { ...SITE, needs_setup: true } }, "GET /api/me": refusal("unauthorized", 401) });
    show(<SetupPage />);
    expect(await screen.findByRole("heading", { name: "Start with the admin" })).toBeVisible();
    await userEvent.type(screen.getByLabelText("Link"), "https://x/link#tgl_cut");
    await userEvent.click(screen.getByRole("button", { name: "Open link" }));
    expect(screen.getByText(/not a whole invitation/)).toBeVisible();
    expect(router.replace).not.toHaveBeenCalled();
  });

  it("asks for a sign-in once an admin exists", async () => {
    serve({ "GET /api/site": { body: SITE }, "GET /api/me": refusal("unauthorized", 401) });
    show(<SetupPage />);
    await waitFor(() => expect(router.replace).toHaveBeenCalledWith("/dashboard/login?next=/dashboard/setup"));
  });
});

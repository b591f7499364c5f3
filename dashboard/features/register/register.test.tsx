import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it } from "vitest";

import { clientName } from "@/features/account/client-name";
import { LinkForm } from "@/features/register/link-form";
import { LinkPage } from "@/features/register/link-page";
import { RegisterPage } from "@/features/register/register-page";
import { tokenIn } from "@/features/register/token";
import { router } from "@/tests/navigation";
import { SITE, show } from "@/tests/render";
import { type Answer, refusal, serve } from "@/tests/server";

const TOKEN = `tgl_${"A".repeat(43)}`;
const PASSWORD = "correct horse battery";
const LINK = { kind: "invite", email: null, expires_at: new Date(Date.now() + 86_400_000).toISOString() };
const USER = { id: "1", name: "Ada", email: "ada@example.com", plan: "starter", role: "member", status: "active", created_at: "2026-11-20T00:00:00Z" };

async function fill(button: string): Promise<void> {
  await userEvent.type(await screen.findByLabelText("Name"), "Ada");
  await userEvent.type(screen.getByLabelText("Email"), "ada@example.com");
  await userEvent.type(screen.getByLabelText("Password"), PASSWORD);
  await userEvent.click(screen.getByRole("button", { name: button }));
}

describe("a one-time link", () => {
  async function redeem(kind: string, answers: Record<string, Answer>) {
    const seen = serve({ "GET /api/site": { body: SITE }, "POST /api/auth/link/check": { body: { ...LINK, kind } }, ...answers });
    show(<LinkForm token={TOKEN} />);
    await fill("Create account");
    return seen;
  }

  it.each([
    ["invite", "/dashboard/overview"],
    ["first_admin", "/dashboard/setup"],
  ])("of kind %s creates the account, signs in and opens %s", async (kind, target) => {
    const seen = await redeem(kind, { "POST /api/auth/link": { body: { kind, user: USER } }, "POST /api/auth/login": { body: {} } });
    await waitFor(() => expect(router.replace).toHaveBeenCalledWith(target));
    expect(seen.find(({ line }) => line === "POST /api/auth/link")?.body).toEqual({ token: TOKEN, name: "Ada", email: "ada@example.com", password: PASSWORD });
  });

  it.each([
    ["a used link", refusal("not_found", 404), "This link no longer works"],
    ["a weak password", refusal("unprocessable", 422, "`password`: this password is easy to guess: it is made of"), "Choose another password"],
    ["an account with this address", refusal("conflict", 409, "an account with this address exists; sign in"), "This address has an account"],
    ["an admin who was faster", refusal("conflict", 409, "an admin exists already"), "This server has an admin already"],
    ["a closed registration", refusal("signup_closed", 403, "sign-up is closed; ask"), "Registration is closed"],
    ["too many attempts", { ...refusal("rate_limited", 429), headers: { "Retry-After": "60" } }, "Too many attempts"],
    ["a server that fails", { status: 500, text: "<html>" }, "The server failed"],
  ])("has its own words for %s and keeps what was typed", async (_, answer, words) => {
    await redeem("invite", { "POST /api/auth/link": answer });
    expect(await screen.findByRole("alert")).toHaveTextContent(words);
    expect(screen.getByLabelText("Email")).toHaveValue("ada@example.com");
    expect(screen.getByLabelText("Password")).toHaveValue(PASSWORD);
    expect(router.replace).not.toHaveBeenCalled();
  });

  it("does not claim an account that belongs to somebody else", async () => {
    await redeem("invite", { "POST /api/auth/link": { body: { kind: "invite", user: USER } }, "POST /api/auth/login": refusal("unauthorized", 401) });
    expect(await screen.findByRole("alert")).toHaveTextContent("This address may have an account already");
  });

  it("that is unknown says what to do", async () => {
    serve({ "GET /api/site": { body: SITE }, "POST /api/auth/link/check": refusal("not_found", 404) });
    show(<LinkForm token={TOKEN} />);
    expect(await screen.findByRole("heading", { name: "This link no longer works" })).toBeVisible();
  });

  it("is read from the fragment once and removed from the address", async () => {
    window.history.replaceState(null, "", `/link#${TOKEN}`);
    const seen = serve({ "GET /api/site": { body: SITE }, "POST /api/auth/link/check": { body: { ...LINK, kind: "password", email: "ada@example.com" } } });
    show(<LinkPage />);
    expect(await screen.findByRole("heading", { name: "Choose a password" })).toBeVisible();
    expect(window.location.hash).toBe("");
    expect(seen.find(({ line }) => line.startsWith("POST"))?.body).toEqual({ token: TOKEN });
    await userEvent.type(screen.getByLabelText("New password"), "short");
    await userEvent.tab();
    expect(screen.getByText("This has 5 of at least 12 characters")).toBeVisible();
  });
});

describe("RegisterPage", () => {
  it("opens an account where registration is open, unless the session does not exist", async () => {
    serve({
      "GET /api/site": { body: { ...SITE, signup: "open" } },
      "POST /api/auth/register": { status: 201, body: {} },
      "GET /api/me": [refusal("unauthorized", 401), { body: {} }],
    });
    show(<RegisterPage />);
    await fill("Create account");
    expect(await screen.findByRole("alert")).toHaveTextContent("This address may have an account already");
    await userEvent.click(screen.getByRole("button", { name: "Create account" }));
    await waitFor(() => expect(router.replace).toHaveBeenCalledWith("/dashboard/overview"));
  });

  it("says that registration is closed", async () => {
    serve({ "GET /api/site": { body: SITE } });
    show(<RegisterPage />);
    expect(await screen.findByText("Registration is closed")).toBeVisible();
    expect(screen.queryByLabelText("Password")).toBeNull();
  });

  it("takes a pasted invitation", async () => {
    serve({ "GET /api/site": { body: { ...SITE, signup: "invite" } }, "POST /api/auth/link/check": { body: LINK } });
    show(<RegisterPage />);
    await userEvent.type(await screen.findByLabelText("Invitation"), "tgl_cut");
    await userEvent.click(screen.getByRole("button", { name: "Use invitation" }));
    expect(screen.getByText(/not a whole invitation/)).toBeVisible();
    await userEvent.clear(screen.getByLabelText("Invitation"));
    await userEvent.type(screen.getByLabelText("Invitation"), `https://control.example.com/link#${TOKEN}`);
    await userEvent.click(screen.getByRole("button", { name: "Use invitation" }));
    expect(await screen.findByRole("heading", { name: "You are invited" })).toBeVisible();
  });
});

describe("tokenIn", () => {
  it("finds a whole token only", () => {
    expect(tokenIn(`  https://x/link#${TOKEN} `)).toBe(TOKEN);
    expect(tokenIn(TOKEN.slice(0, -1))).toBeUndefined();
    expect(tokenIn(`${TOKEN}B`)).toBeUndefined();
  });
});

describe("clientName", () => {
  it.each([
    ["Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0 Safari/537.36", "Chrome · Linux"],
    ["Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/143.0 Safari/537.36 Edg/143.0", "Edge · Windows"],
    ["Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1", "Safari · iOS"],
    ["Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:145.0) Gecko/20100101 Firefox/145.0", "Firefox · macOS"],
    ["curl/8.14.1", "curl/8.14.1"],
    [null, undefined],
  ])("of %s is %s", (agent, name) => {
    expect(clientName(agent)).toBe(name);
  });
});

import { screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { describe, expect, it, vi } from "vitest";

import { SignInForm } from "@/features/session/sign-in-form";
import { safeTarget } from "@/features/session/sign-in-page";
import { SITE, show } from "@/tests/render";
import { type Answer, refusal, serve } from "@/tests/server";

async function signIn(answer: Answer | undefined) {
  const seen = serve({ "GET /api/site": { body: SITE }, ...(answer && { "POST /api/auth/login": answer }) });
  const done = vi.fn();
  show(<SignInForm onDone={done} />);
  await userEvent.type(screen.getByLabelText("Email"), "ada@example.com");
  await userEvent.type(screen.getByLabelText("Password"), "a secret");
  await userEvent.click(screen.getByRole("button", { name: "Sign in" }));
  return { seen, done };
}

describe("SignInForm", () => {
  it("signs in with what was typed", async () => {
    const { seen, done } = await signIn({ body: {} });
    await waitFor(() => expect(done).toHaveBeenCalled());
    expect(seen.at(-1)?.body).toEqual({ email: "ada@example.com", password: "a secret" });
  });

  it.each([
    ["a wrong password", refusal("unauthorized", 401), "The email or the password is wrong"],
    ["too many attempts", { ...refusal("rate_limited", 429), headers: { "Retry-After": "702" } }, "Too many attempts"],
    ["no network", undefined, "The server does not respond"],
    ["a suspended account", refusal("user_suspended", 403), "This account is suspended"],
    ["a server that fails", { status: 500, text: "<html>" }, "The sign-in failed"],
  ])("has its own words for %s and keeps what was typed", async (_, answer, words) => {
    const { done } = await signIn(answer);
    expect(await screen.findByRole("alert")).toHaveTextContent(words);
    expect(screen.getByLabelText("Email")).toHaveValue("ada@example.com");
    expect(screen.getByLabelText("Password")).toHaveValue("a secret");
    expect(done).not.toHaveBeenCalled();
  });

  it("shows the time left and waits for it", async () => {
    await signIn({ ...refusal("rate_limited", 429), headers: { "Retry-After": "702" } });
    expect(await screen.findByRole("alert")).toHaveTextContent(/Try again in 11:4[12]/);
    expect(screen.getByRole("button", { name: "Sign in" })).toBeDisabled();
  });

  it("asks for what is missing without a request, and moves the focus there", async () => {
    const seen = serve({ "GET /api/site": { body: SITE } });
    show(<SignInForm onDone={vi.fn()} />);
    await userEvent.click(screen.getByRole("button", { name: "Sign in" }));
    expect(screen.getByLabelText("Email")).toHaveFocus();
    expect(screen.getByText("Enter your email address")).toBeVisible();
    expect(seen.filter(({ line }) => line.startsWith("POST"))).toHaveLength(0);
  });

  it("does not show a key in clear, and keeps its error apart from the tabs", async () => {
    serve({ "GET /api/site": { body: SITE }, "POST /api/auth/login": refusal("unauthorized", 401) });
    show(<SignInForm onDone={vi.fn()} />);
    await userEvent.click(screen.getByRole("tab", { name: "API key" }));
    await screen.findByPlaceholderText("acme_…");
    const field = screen.getByLabelText("API key", { selector: "input" });
    expect(field).toHaveAttribute("type", "password");
    await userEvent.type(field, "acme_secret{Enter}");
    expect((await screen.findByRole("alert")).parentElement).toHaveClass("mb-5");
  });

  it("checks the shape of a key", async () => {
    serve({ "GET /api/site": { body: SITE } });
    show(<SignInForm onDone={vi.fn()} />);
    await userEvent.click(screen.getByRole("tab", { name: "API key" }));
    await screen.findByPlaceholderText("acme_…");
    await userEvent.type(screen.getByLabelText("API key", { selector: "input" }), "sk-123");
    await userEvent.click(screen.getByRole("button", { name: "Sign in with key" }));
    expect(screen.getByText("A key begins with acme_ and has no spaces")).toBeVisible();
  });
});

describe("safeTarget", () => {
  it("returns only to pages of the dashboard", () => {
    expect(safeTarget("/dashboard/keys?id=1")).toBe("/dashboard/keys?id=1");
    for (const next of [null, "", "https://evil.example.com", "//evil.example.com", "/dashboard//evil", "/dashboard/login", "/api/me"]) {
      expect(safeTarget(next)).toBe("/dashboard/overview");
    }
  });
});

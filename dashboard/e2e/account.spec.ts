/** Registration, links, password and sessions, on a server of their own: the limits of sign-ins count per address. */
import type { Page } from "@playwright/test";

import { fits, isAccessible } from "./looks";
import { expect, test } from "./pages";
import { EMAIL, PASSWORD, type Server, createUser, startServer } from "./server";

const NEW = "another horse, same battery";
const OPEN = "mock: true\nsignup: open\ncontrol:\n  rate_limits: []\n";

let server: Server;
let token: string;

async function call(path: string, body: unknown): Promise<Record<string, unknown>> {
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  const response = await fetch(`${server.url}${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Record<string, unknown>;
}

test.beforeAll(async () => {
  server = await startServer(OPEN, (data) => createUser(EMAIL, "Ada Example", ["--admin", ...data]));
  token = "";
  token = String((await call("/api/auth/login", { email: EMAIL, password: PASSWORD })).access_token);
});
test.afterAll(() => server.stop());

async function noSeriousProblem(page: Page): Promise<void> {
  await isAccessible(page);
  await fits(page, [360, 768, 1920, 1280]);
}

async function fill(page: Page, email: string, password: string): Promise<void> {
  await page.getByLabel("Name").fill("Bob");
  await page.getByLabel("Email").fill(email);
  await page.getByLabel("Password", { exact: true }).fill(password);
  await page.getByRole("button", { name: "Create account" }).click();
}

test("an account is created where registration is open, and a taken address is not revealed", async ({ page, expected }) => {
  expected.push("401", "422");
  await page.goto(`${server.url}/dashboard/login`);
  await page.getByRole("link", { name: "Create account" }).click();
  await expect(page.getByRole("heading", { name: "Create account" })).toBeVisible();
  await noSeriousProblem(page);
  await fill(page, "bob@example.com", "password password");
  await expect(page.getByText("Choose another password")).toBeVisible();
  await expect(page.getByLabel("Email")).toHaveValue("bob@example.com");
  await page.getByLabel("Email").fill(EMAIL);
  await page.getByLabel("Password", { exact: true }).fill(NEW);
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page.getByText("This address may have an account already")).toBeVisible();
  await fill(page, "bob@example.com", NEW);
  await expect(page).toHaveURL(/\/dashboard\/overview/);
  await expect(page.getByRole("heading", { name: "Overview", level: 1 })).toBeVisible();
});

test("an invitation names its address, works once and says so afterwards", async ({ page, expected }) => {
  expected.push("404", "401");
  const { url } = await call("/api/invites", { email: "eve@example.com" });
  await page.goto(String(url));
  await expect(page.getByRole("heading", { name: "You are invited" })).toBeVisible();
  expect(page.url()).not.toContain("tgl_");
  await expect(page.getByLabel("Email")).toHaveValue("eve@example.com");
  await noSeriousProblem(page);
  await page.route("**/api/auth/link", (route) => route.abort());
  expected.push("ERR_FAILED");
  await page.getByLabel("Name").fill("Eve");
  await page.getByLabel("Password", { exact: true }).fill(NEW);
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page.getByText("The server does not respond")).toBeVisible();
  await page.unroute("**/api/auth/link");
  await page.getByRole("button", { name: "Create account" }).click();
  await expect(page).toHaveURL(/\/dashboard\/overview/);
  await page.goto("about:blank");
  await page.goto(String(url).replace("/link#", "/dashboard/register?invite="));
  await expect(page.getByRole("heading", { name: "This link no longer works" })).toBeVisible();
  expect(page.url()).not.toContain("tgl_");
});

test("a link sets a password; an account changes it and ends another session", async ({ page, expected }) => {
  expected.push("403", "401");
  const created = (await call("/api/users", { email: "kim@example.com", name: "Kim Example", plan: "starter" })) as { password_link: { url: string } };
  await page.goto(created.password_link.url);
  await expect(page.getByRole("heading", { name: "Choose a password" })).toBeVisible();
  await page.getByLabel("New password").fill(PASSWORD);
  await page.getByLabel("Show the password").check();
  await expect(page.getByLabel("New password")).toHaveAttribute("type", "text");
  await page.getByRole("button", { name: "Save password" }).click();
  await expect(page).toHaveURL(/\/dashboard\/overview/);

  await page.goto(`${server.url}/dashboard/account`);
  await expect(page.getByRole("heading", { name: "Account", level: 1 })).toBeVisible();
  await expect(page.getByText("This session")).toBeVisible();
  await noSeriousProblem(page);
  const elsewhere = await fetch(`${server.url}/api/auth/login`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "User-Agent": "curl/8.14.1" },
    body: JSON.stringify({ email: "kim@example.com", password: PASSWORD }),
  });
  const other = String(((await elsewhere.json()) as { access_token: string }).access_token);
  await page.reload();
  await page.getByRole("button", { name: "End session of curl/8.14.1" }).click();
  await expect(page.getByText("The session of curl/8.14.1 has ended")).toBeVisible();
  await expect.poll(async () => (await fetch(`${server.url}/api/me`, { headers: { Authorization: `Bearer ${other}` } })).status).toBe(401);

  await page.getByLabel("Current password").fill("not the password");
  await page.getByLabel("New password").fill(NEW);
  await page.getByRole("button", { name: "Change password" }).click();
  await expect(page.getByText("The current password is wrong")).toBeVisible();
  await page.getByLabel("Current password").fill(PASSWORD);
  await page.getByRole("button", { name: "Change password" }).click();
  await expect(page.getByText("Your password is changed")).toBeVisible();
  await expect(page.getByLabel("New password")).toHaveValue("");
});

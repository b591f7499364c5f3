/** A server that nobody has used: each page says what it will show. One server has no LLM endpoints. */
import type { Page } from "@playwright/test";

import { en } from "@/messages/en";

import { expect, test } from "./pages";
import { type Server, run, startServer } from "./server";

const [EMAIL, PASSWORD] = ["root@example.com", "seven herons over the weir"];
const API_ONLY = `control: {rate_limits: []}
ai: {enabled: false}
upstreams: [{name: orders, backends: [{url: "http://127.0.0.1:9"}]}]
routes: [{name: orders, path: {prefix: /orders}, auth: {type: key}, upstreams: orders}]
`;

async function signedIn(page: Page, server: Server): Promise<void> {
  await page.goto(`${server.url}/dashboard/login?next=/dashboard/account`);
  await page.getByLabel("Email", { exact: true }).fill(EMAIL);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: en.signIn.submit, exact: true }).click();
  await expect(page.getByRole("heading", { level: 1, name: en.frame.account })).toBeVisible();
}

function withAdmin(data: string[]): void {
  run(["users", "create", "--email", EMAIL, "--name", "Root", "--admin", "--password-stdin", ...data], `${PASSWORD}\n`);
}

test.describe("a new server", () => {
  let server: Server;
  test.beforeAll(async () => {
    server = await startServer("control: {rate_limits: []}\n", withAdmin);
  });
  test.afterAll(() => server.stop());

  test("says on each page that there is nothing yet", async ({ page, expected }) => {
    expected.push("401");
    await signedIn(page, server);
    const pages: [string, ...string[]][] = [
      ["usage", en.requests.none, en.usage.noRequests],
      ["keys", en.keys.none],
      ["budgets", en.budgets.none],
      ["providers", en.providers.noCredentials],
      ["users?show=invites", en.users.noInvites],
      ["explain", en.explain.none],
      ["limits", en.limits.quiet],
      ["playground", en.playground.start],
      ["overview", en.setup.begin],
    ];
    for (const [path, ...texts] of pages) {
      await page.goto(`${server.url}/dashboard/${path}`);
      for (const text of texts) await expect(page.getByText(text, { exact: true }).first(), `${path}: ${text}`).toBeVisible();
    }
  });

  test("offers the providers that a credential switches on, and ticks no step by itself", async ({ page, expected }) => {
    expected.push("401");
    await signedIn(page, server);
    await page.goto(`${server.url}/dashboard/providers?add=1`);
    const dialog = page.getByRole("dialog");
    const options = dialog.getByLabel(en.setup.provider, { exact: true }).locator("option");
    for (const name of ["openai", "anthropic", "gemini"]) await expect(options.filter({ hasText: name })).toHaveCount(1);
    await page.goto(`${server.url}/dashboard/setup`);
    await expect(page.getByRole("heading", { name: en.setup.titles.provider })).toBeVisible();
  });
});

test.describe("a gateway of ordinary APIs", () => {
  let server: Server;
  test.beforeAll(async () => {
    server = await startServer(API_ONLY, withAdmin);
  });
  test.afterAll(() => server.stop());

  test("shows nothing about models", async ({ page, expected }) => {
    expected.push("401");
    await page.goto(server.url);
    await expect(page.getByRole("heading", { name: en.landing.apis.title })).toBeVisible();
    await expect(page.getByLabel("curl", { exact: true }).last()).toContainText("/orders'");
    for (const text of [en.landing.receipt, en.landing.agents, en.landing.openAi]) await expect(page.getByText(text, { exact: true })).toHaveCount(0);
    await signedIn(page, server);
    const navigation = page.getByRole("navigation", { name: en.frame.main }).first();
    await expect(navigation.getByRole("link", { name: en.frame.keys })).toBeVisible();
    for (const name of ["models", "providers", "playground"] as const) {
      await expect(navigation.getByRole("link", { name: en.frame[name], exact: true })).toHaveCount(0);
    }
    const administration = navigation.locator("h2 ~ a");
    await expect(administration.first()).toHaveText(en.frame.upstreams);
    await expect(administration.nth(1)).toHaveText(en.frame.routes);
    await page.keyboard.press("Control+k");
    const palette = page.getByRole("dialog");
    await expect(palette.getByText(en.frame.usage, { exact: true })).toBeVisible();
    await expect(palette.getByText(en.frame.providers, { exact: true })).toHaveCount(0);
  });
});

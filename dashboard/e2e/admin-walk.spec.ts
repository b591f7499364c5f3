/**
 * A walk of an admin on a server with three users and 2,000 calls: who spends most, with which key, what was refused; the key is
 * revoked, its user gets another plan, a colleague is invited. After the first page, each step is a click.
 */
import type { Page } from "@playwright/test";
import { createServer, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";

import { isAccessible } from "./looks";
import { expect, test } from "./pages";
import { PASSWORD, type Server, createUser, json, run, startServer } from "./server";

const ADMIN = "walk-admin@example.com";
const SPENDER = "eve@example.com";
const CALLS = { spender: 1_000, other: 200, plain: 800 };
/** The spender's key may use less than it sends. */
const CREDITS = 950;
const AT_ONCE = 16;

let backend: HttpServer;
let server: Server;
let last4 = "";
let token = "";

function configuration(port: number): string {
  return `
signup: invite
control: {rate_limits: []}
rate_limits: []
plans:
  - {name: starter, credits_per_day: 10000}
  - {name: pro, credits_per_day: 50000}
providers: [{name: mock, kind: mock}]
models: [{name: mock, targets: [{provider: mock, model: mock}]}]
upstreams: [{name: shop, backends: [{url: "http://127.0.0.1:${port}"}]}]
routes: [{name: shop, path: {prefix: /shop}, upstreams: shop, auth: {type: key}, credits: 0}]
`;
}

/** Sends requests, some at once, and waits for all. */
async function send(count: number, one: () => Promise<Response>): Promise<void> {
  let left = count;
  const sender = async () => {
    while (left-- > 0) await one().then((response) => response.text());
  };
  await Promise.all(Array.from({ length: AT_ONCE }, sender));
}

test.beforeAll(async () => {
  test.setTimeout(240_000);
  backend = createServer((_, response) => response.end("{}"));
  await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
  const { port } = backend.address() as AddressInfo;
  server = await startServer(configuration(port), (data) => {
    createUser(ADMIN, "Ada Admin", ["--admin", ...data]);
    createUser(SPENDER, "Eve Spender", data);
    createUser("bob@example.com", "Bob Careful", data);
  });
  const cookies = process.env.SESSION_COOKIES;
  const signedIn = await json(`${server.url}/api/auth/login`, undefined, { email: ADMIN, password: PASSWORD });
  process.env.SESSION_COOKIES = cookies;
  token = String(signedIn.access_token);
  const users = (await json(`${server.url}/api/users`, token, undefined, "GET")).items as { id: string; email: string }[];
  const key = async (email: string, label: string, limits = {}) => {
    const user = users.find((found) => found.email === email)?.id;
    return String((await json(`${server.url}/api/keys`, token, { label, user_id: user, limits })).key);
  };
  const scraper = await key(SPENDER, "scraper", { credits_per_day: CREDITS });
  const notebook = await key("bob@example.com", "notebook");
  last4 = scraper.slice(-4);
  const call = (secret: string) => () => fetch(`${server.proxyUrl}/v1/chat/completions`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${secret}` },
    body: JSON.stringify({ model: "mock", messages: [{ role: "user", content: "Hello" }] }),
  });
  await send(CALLS.spender, call(scraper));
  await send(CALLS.other, call(notebook));
  await send(CALLS.plain, () => fetch(`${server.proxyUrl}/shop/items`, { headers: { Authorization: `Bearer ${notebook}` } }));
  // Totals follow the spool within seconds.
  await expect.poll(async () => (await month("all")).requests, { timeout: 60_000 }).toBe(CREDITS + CALLS.other + CALLS.plain);
});

test.afterAll(async () => {
  await server.stop();
  backend.close();
});

/** The figures of this month over a scope. */
async function month(scope: string): Promise<{ requests: number; cost: { amount_nano: number } }> {
  return (await json(`${server.url}/api/dashboard/overview?scope=${scope}`, token, undefined, "GET")).month as { requests: number; cost: { amount_nano: number } };
}

/** Opens the dashboard and signs in on its page. */
async function signInByPassword(page: Page): Promise<void> {
  await page.goto(`${server.url}/dashboard`);
  await page.getByRole("textbox", { name: "Email" }).fill(ADMIN);
  await page.getByRole("textbox", { name: "Password" }).fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
}

test("an admin finds the biggest spender, stops the key, changes the plan and invites a colleague", async ({ page, expected }) => {
  test.setTimeout(90_000);
  expected.push("401");
  await signInByPassword(page);

  const users = page.getByRole("region", { name: "Users this month" });
  const first = users.getByRole("link").first();
  await expect(first).toHaveText("Eve Spender");
  await first.click();
  await expect(page.getByLabel("Usage of")).toHaveValue(/^user:/);
  const keys = page.getByRole("region", { name: "Keys this month" });
  await keys.getByRole("link", { name: "scraper" }).click();
  await expect(page.getByLabel("Usage of")).toHaveValue(/^key:/);
  await page.getByRole("radio", { name: "Refused" }).or(page.getByRole("button", { name: "Refused" })).first().click();
  const refused = page.getByRole("table", { name: "Requests" }).getByRole("row");
  await refused.nth(1).click();
  await expect(page.getByText("Refused before any provider was called")).toBeVisible();
  await page.getByRole("link", { name: "About quota_exceeded" }).click();
  await expect(page).toHaveURL(/\/docs\/errors#quota_exceeded$/);
  await expect(page.locator("#quota_exceeded")).toBeInViewport();
  await page.goBack();
  await expect(page.getByText("Refused before any provider was called")).toBeVisible();
  await page.keyboard.press("Escape");

  await page.getByRole("link", { name: "Keys", exact: true }).click();
  await page.getByRole("button", { name: "Find a leaked key" }).click();
  await page.getByLabel("Last four characters, or the key").fill(last4);
  await page.getByRole("button", { name: "Find key" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("dialog").getByRole("button", { name: /Revoke/ }).last().click();
  await expect.poll(async () => {
    const found = await json(`${server.url}/api/keys/lookup`, token, { last4 });
    return (found.items as { label: string; revoked_at: string | null }[]).find((key) => key.label === "scraper")?.revoked_at;
  }).toMatch(/^20/);

  await page.keyboard.press("Escape");
  await expect(page.getByRole("dialog")).toBeHidden();
  await page.getByRole("link", { name: "Users", exact: true }).click();
  const row = page.getByRole("row", { name: /Eve Spender/ });
  await row.getByRole("button", { name: /Actions/ }).click();
  await page.getByRole("menuitem", { name: "Edit user" }).click();
  const edit = page.getByRole("dialog", { name: /Edit/ });
  await edit.getByLabel("Plan").selectOption("pro");
  await edit.getByRole("button", { name: "Save changes" }).click();
  await expect(row).toContainText("pro");
  await page.getByRole("button", { name: "Invite user" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Create invitation" }).click();
  await expect(page.getByTestId("link")).toHaveText(/#/);
});

test("the figures of overview, users and CSV are those of the API and of the audit", async () => {
  const all = await month("all");
  const users = (await json(`${server.url}/api/users`, token, undefined, "GET")).items as { id: string; month: { requests: number; cost: { amount_nano: number } } }[];
  expect(users.reduce((sum, user) => sum + user.month.requests, 0)).toBe(all.requests);
  expect(users.reduce((sum, user) => sum + user.month.cost.amount_nano, 0)).toBe(all.cost.amount_nano);
  for (const user of users) expect(await month(`user:${user.id}`)).toMatchObject(user.month);
  const table = await fetch(`${server.url}/api/usage/series?scope=all&by=user&step=day&format=csv`, { headers: { Authorization: `Bearer ${token}` } });
  const [head = "", ...rows] = (await table.text()).trim().split("\r\n");
  const column = (name: string) => rows.map((row) => Number(row.split(",")[head.split(",").indexOf(name)]));
  const sum = (name: string) => column(name).reduce((total, figure) => total + figure, 0);
  expect(sum("requests")).toBe(all.requests);
  expect(Math.round(sum("cost") * 1e9)).toBe(all.cost.amount_nano);
  // A worker records at most 20 refusals per second.
  expect(sum("refused")).toBeGreaterThanOrEqual(20);
  expect(sum("refused")).toBeLessThanOrEqual(CALLS.spender - CREDITS);
  // The command fails if it finds a difference.
  expect(run(["audit", ...server.data])).not.toBe("");
});

test("no page that an admin sees has a serious fault of accessibility, in both themes", async ({ page, expected }) => {
  test.setTimeout(180_000);
  expected.push("401");
  await signInByPassword(page);
  const pages = page.getByRole("navigation").getByRole("link");
  await expect(pages.first()).toBeVisible();
  for (let nth = 0; nth < (await pages.count()); nth++) {
    const path = await pages.nth(nth).getAttribute("href");
    await pages.nth(nth).click();
    await page.waitForURL(`${server.url}${path ?? ""}*`);
    await page.waitForLoadState("networkidle");
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    await isAccessible(page, { name: path ?? "" });
  }
});

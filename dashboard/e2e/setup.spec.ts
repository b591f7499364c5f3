/** From an empty store to the first call, on a server of its own. */
import type { Page } from "@playwright/test";

import { fits, isAccessible, keepPictures } from "./looks";
import { expect, test } from "./pages";
import { type Server, run, startServer } from "./server";

const PASSWORD = "seven herons over the weir";
/** A provider whose credentials are in the vault, and the mock provider. */
const CONFIGURATION = `control:
  rate_limits: []
providers:
  - {name: openai, kind: openai, base_url: "http://127.0.0.1:9/v1", credential: vault}
  - {name: mock, kind: mock}
`;

let server: Server;
test.beforeAll(async () => {
  server = await startServer(CONFIGURATION);
});
test.afterAll(() => server.stop());

/** `SETUP_SCREENSHOTS=FOLDER` keeps a picture of each step, for people. */
async function looksRight(page: Page, step: string): Promise<void> {
  await isAccessible(page, { name: step });
  await fits(page, [360, 1920, 1280], step);
  if (process.env.SETUP_SCREENSHOTS) await keepPictures(page, `${process.env.SETUP_SCREENSHOTS}/setup-${step}`, [360, 1280]);
}

test("an empty store leads to the first call, which the page notices by itself", async ({ page, expected }) => {
  expected.push("401", "404");
  await page.goto(server.url);
  await page.getByRole("link", { name: "Set up this server" }).click();
  await expect(page.getByRole("heading", { name: "Start with the admin" })).toBeVisible();
  await looksRight(page, "admin");

  const printed = run(["setup-link", ...server.data]);
  const token = /tgl_[A-Za-z0-9_-]{43}/.exec(printed)?.[0] ?? "";
  await page.getByLabel("Link").fill(`${server.url}/link#${token}`);
  await page.getByRole("button", { name: "Open link" }).click();
  await expect(page.getByRole("heading", { name: "Create the first admin" })).toBeVisible();
  expect(page.url()).not.toContain("tgl_");
  await page.getByLabel("Name").fill("Dewi Example");
  await page.getByLabel("Email").fill("dewi@example.com");
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Create account" }).click();

  await expect(page.getByRole("heading", { name: "Add a provider" })).toBeVisible();
  await looksRight(page, "provider");
  await page.getByLabel("Credential").fill("sk-test-0123456789abcdef");
  await page.getByRole("button", { name: "Add and test" }).click();
  await expect(page.getByText("openai did not accept the credential")).toBeVisible();
  await page.getByRole("button", { name: "Enter another credential" }).click();
  await expect(page.getByLabel("Credential")).toHaveValue("");
  await page.getByRole("button", { name: "Continue with the mock provider" }).click();

  await expect(page.getByRole("heading", { name: "Create the first key" })).toBeVisible();
  await page.getByRole("button", { name: "Create key" }).click();
  await expect(page.getByRole("heading", { name: "One call left" })).toBeVisible();
  const key = await page.getByTestId("secret").innerText();
  await looksRight(page, "call");
  const snippet = await page.locator("pre", { hasText: "curl -N" }).innerText();
  const url = /curl -N '([^']+)'/.exec(snippet)?.[1] ?? "";
  const body = /-d '([^']+)'/.exec(snippet)?.[1] ?? "";
  const call = (secret: string) => fetch(url, { method: "POST", headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" }, body });
  expect((await call(key)).status).toBe(200);
  await expect(page.getByText("The first request arrived")).toBeVisible({ timeout: 20_000 });
  await expect(page.getByRole("heading", { name: /is ready/ })).toBeVisible();
  await looksRight(page, "done");
  await page.getByRole("link", { name: "Open overview" }).click();
  await expect(page.getByRole("heading", { name: "Overview", level: 1 })).toBeVisible();
  expect(await page.content()).not.toContain(key);
});

test("once an admin exists the page asks for a sign-in, and a new link says why it is refused", async ({ page, expected }) => {
  expected.push("401", "404");
  run(["users", "create", "--email", "root@example.com", "--name", "Root", "--admin", "--password-stdin", ...server.data], `${PASSWORD}\n`);
  await expect.poll(async () => ((await (await fetch(`${server.url}/api/site`)).json()) as { needs_setup: boolean }).needs_setup).toBe(false);
  await page.goto(`${server.url}/dashboard/setup`);
  await expect(page).toHaveURL(/\/dashboard\/login\?next=/);
  await expect(page.getByText("This server has no admin yet")).toBeHidden();
  await page.goto(`${server.url}/link#tgl_${"A".repeat(43)}`);
  await expect(page.getByRole("heading", { name: "This link no longer works" })).toBeVisible();
});

/** Configuration, limits and explanations, on a server of their own, because they change its configuration. */
import type { Page } from "@playwright/test";

import { fits, isAccessible, keepPictures } from "./looks";
import { expect, test } from "./pages";
import { EMAIL, PASSWORD, type Server, createUser, startServer } from "./server";

const CONFIGURATION = `mock: true
control:
  rate_limits: []
rate_limits:
  - {dimension: global, limit: 8, window: 1h}
  - {dimension: {header: X-Tenant}, limit: 4, window: 1h}
upstreams:
  - {name: users, backends: [{url: "http://127.0.0.1:9"}]}
routes:
  - {name: users, path: "/users/{id}", methods: [GET], auth: {type: none}, upstreams: users}
  - {name: hello, path: /hello, auth: {type: none}, respond: {body: hi}}
  - {name: private, path: /private, respond: {body: secret}}
`;

interface SignedIn {
  token: string;
  cookies: string[];
}

let server: Server;
let session: SignedIn;

async function call(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const sent = { "Content-Type": "application/json", ...headers };
  return fetch(`${server.url}${path}`, { method: "POST", headers: sent, body: JSON.stringify(body) });
}

/** Applies a configuration as another admin would. */
async function applyElsewhere(yaml: string): Promise<void> {
  const response = await call("/api/config", { yaml }, { Authorization: `Bearer ${session.token}`, "If-Match": "*" });
  if (!response.ok) throw new Error(await response.text());
}

async function open(page: Page, path: string): Promise<void> {
  await page.context().addCookies(
    session.cookies.map((cookie) => {
      const [name = "", value = ""] = cookie.split("=", 2);
      return { name, value, url: server.url };
    }),
  );
  await page.goto(`${server.url}/dashboard/${path}`);
}

/** No serious finding of axe in both themes, and no overflow from 360 to 2,560 px. `PAGE_SCREENSHOTS=FOLDER` keeps pictures, for people. */
async function looksRight(page: Page, name: string): Promise<void> {
  await isAccessible(page, { name });
  await fits(page, [360, 768, 2560, 1280], name);
  if (process.env.PAGE_SCREENSHOTS) await keepPictures(page, `${process.env.PAGE_SCREENSHOTS}/${name}`, [360, 1280]);
}

/** Starts a server that has counted no request. */
async function start(): Promise<void> {
  server = await startServer(CONFIGURATION, (data) => createUser(EMAIL, "Ada Example", ["--admin", ...data]));
  const response = await call("/api/auth/login", { email: EMAIL, password: PASSWORD });
  const cookies = response.headers.getSetCookie().map((cookie) => cookie.split(";")[0] ?? "");
  session = { token: ((await response.json()) as { access_token: string }).access_token, cookies };
}

test.beforeAll(start);
test.afterAll(() => server.stop());

test("the running configuration is shown with its source and its sections", async ({ page }) => {
  await open(page, "configuration");
  await expect(page.getByText(/^File .*tollgate\.yaml$/)).toBeVisible();
  await expect(page.getByText("The file is in force")).toBeVisible();
  const code = page.getByRole("region", { name: "Configuration" }).last();
  await expect(code).toContainText("name: hello");
  await page.getByRole("button", { name: "routes" }).click();
  await expect(code).toBeFocused();
  await looksRight(page, "configuration");
});

test("a text is validated, compared, applied and rolled back, and survives errors and a reload", async ({ page, expected }) => {
  test.setTimeout(180_000);
  expected.push("422", "409", "ERR_FAILED");
  await open(page, "configuration?view=edit");
  const editor = page.getByLabel("New configuration");
  await expect(editor).toHaveValue(CONFIGURATION);
  const wrong = `listen: 127.0.0.1:1\n${CONFIGURATION}rutes: []\n`;
  await editor.fill(wrong);
  await page.getByRole("button", { name: "Validate" }).click();
  await expect(page.getByText("The configuration is invalid")).toBeVisible();
  await page.getByRole("button", { name: /^Line 14, column 1$/ }).click();
  await expect(editor).toBeFocused();
  expect(await editor.evaluate((area: HTMLTextAreaElement) => area.value.slice(area.selectionStart, area.selectionStart + 5))).toBe("rutes");
  await looksRight(page, "configuration-problems");
  await page.reload();
  await expect(editor).toHaveValue(wrong);
  await editor.fill(`workers: 7\n${CONFIGURATION}`);
  await page.getByRole("button", { name: "Validate" }).click();
  await expect(page.getByText("A restart is needed for workers")).toBeVisible();

  const fresh = CONFIGURATION.replace("body: hi", "body: hello");
  await editor.fill(fresh);
  await page.getByRole("button", { name: "Validate" }).click();
  await expect(page.getByText("The configuration is valid")).toBeVisible();
  await expect(page.getByRole("row", { name: /routes\[hello\]/ })).toContainText("hello");
  await page.getByRole("button", { name: "Show diff" }).click();
  await expect(page.getByRole("region", { name: "Diff from the running configuration" })).toContainText("body: hello");
  await looksRight(page, "configuration-diff");

  await page.route("**/api/config", (route) => (route.request().method() === "POST" ? route.abort() : route.fallback()));
  await page.getByRole("button", { name: "Apply configuration" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Apply configuration" }).click();
  await expect(page.getByText("The configuration was not applied")).toBeVisible();
  await expect(editor).toHaveValue(fresh);
  await page.unroute("**/api/config");

  await applyElsewhere(`${CONFIGURATION}# another admin\n`);
  await page.getByRole("button", { name: "Apply configuration" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Apply configuration" }).click();
  await expect(page.getByText("Another configuration was applied in the meantime")).toBeVisible();
  await expect(editor).toHaveValue(fresh);
  await page.getByRole("button", { name: "Compare with the running configuration" }).click();
  await expect(page.getByRole("region", { name: "Diff from the running configuration" })).toContainText("# another admin");
  await page.getByRole("button", { name: "Apply configuration" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Apply configuration" }).click();
  await expect(page.getByText("The configuration is in force")).toBeVisible();
  await expect.poll(async () => (await fetch(`${server.proxyUrl}/hello`)).text()).toBe("hello");

  await page.getByRole("button", { name: "History" }).click();
  const table = page.getByRole("table", { name: "History" });
  await expect(table.getByRole("row", { name: /In force/ })).toContainText("Ada Example");
  await looksRight(page, "configuration-history");
  await table.getByRole("button", { name: /^Roll back/ }).nth(1).click();
  const dialog = page.getByRole("dialog", { name: /^Roll back to entry/ });
  await expect(dialog).toContainText("# another admin");
  await dialog.getByRole("button", { name: "Roll back" }).click();
  await expect(dialog).toBeHidden();
  await expect.poll(async () => (await fetch(`${server.proxyUrl}/hello`)).text()).toBe("hi");
});

test("invitations are allowed and plans are applied without a restart and without a shell", async ({ page }) => {
  test.setTimeout(180_000);
  await applyElsewhere(CONFIGURATION);
  await open(page, "users");
  await page.getByRole("link", { name: "Allow invitations" }).first().click();
  await page.getByRole("button", { name: "Write signup: invite" }).click();
  const editor = page.getByLabel("New configuration");
  await expect(editor).toHaveValue(`${CONFIGURATION}signup: invite\n`);
  await looksRight(page, "configuration-setting");
  await editor.fill(`${CONFIGURATION}signup: invite\nplans:\n  - {name: starter, credits_per_day: 70}\n`);
  await page.getByRole("button", { name: "Apply configuration" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Apply configuration" }).click();
  const table = page.getByRole("table", { name: "Plans that differ from the configuration" });
  await expect(table.getByRole("row", { name: /starter.*Credits per day.*70/ })).toBeVisible();
  await looksRight(page, "configuration-plans");
  await page.goto(`${server.url}/dashboard/plans`);
  await looksRight(page, "plans-differ");
  await table.getByRole("button", { name: "Apply starter from the configuration" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Apply" }).click();
  await expect(table).toBeHidden();
  await expect(page.getByRole("table", { name: "Plans", exact: true }).getByRole("row", { name: /starter/ })).toContainText("70");

  await page.goto(`${server.url}/dashboard/users`);
  await page.getByRole("button", { name: "Invite user" }).first().click();
  const form = page.getByRole("dialog", { name: "Invite user" });
  await form.getByLabel("Email").fill("eve@example.com");
  await looksRight(page, "invite");
  await form.getByRole("button", { name: "Create invitation" }).click();
  await expect(page.getByText("Invitation for eve@example.com")).toBeVisible();
  await applyElsewhere(CONFIGURATION);
});

test("a pasted request is explained, as a key too", async ({ page, expected }) => {
  test.setTimeout(90_000);
  expected.push("422", "404");
  const created = (await (await call("/api/keys", { label: "laptop", limits: { requests_per_minute: 30 } }, { Authorization: `Bearer ${session.token}` })).json()) as { id: string };
  await open(page, "explain");
  await expect(page.getByRole("heading", { name: "Explain a request" })).toBeVisible();
  await looksRight(page, "explain-empty");
  await page.getByLabel("URL").focus();
  await page.evaluate(() => {
    const data = new DataTransfer();
    data.setData("text/plain", "curl 'https://api.example.com/users/7?a=b' \\\n  -H 'X-Tenant: acme'");
    document.activeElement?.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  });
  await expect(page.getByLabel("URL")).toHaveValue("https://api.example.com/users/7?a=b");
  await expect(page.getByLabel("Header fields")).toHaveValue("X-Tenant: acme");
  await page.keyboard.press("Enter");
  await expect(page.getByText("the path matches /users/{id}")).toBeVisible();
  await expect(page.getByText("http://127.0.0.1:9/users/7?a=b")).toBeVisible();
  const limits = page.getByRole("table", { name: "Limits" });
  await expect(limits.getByRole("row", { name: /^global/ })).toContainText("8");
  await expect(page.getByText(/^(.*tollgate\.yaml|configuration):\d+:5$/).first()).toBeVisible();

  await page.getByLabel("URL").fill("/private");
  await page.getByLabel("Key", { exact: true }).fill(created.id);
  await page.getByRole("button", { name: "Explain request" }).click();
  await expect(page.getByText(/As the key laptop …\w{4} of Ada Example/)).toBeVisible();
  await expect(limits.getByRole("row", { name: /Requests per minute.*300.*300/ })).toBeVisible();
  await looksRight(page, "explain");

  await page.getByLabel("URL").fill("/a/../b");
  await page.getByRole("button", { name: "Explain request" }).click();
  await expect(page.getByText("The request was not explained")).toBeVisible();
  await expect(page.getByLabel("URL")).toHaveValue("/a/../b");
});

test("limits show who is near them, while requests arrive", async ({ page }) => {
  test.setTimeout(60_000);
  await server.stop();
  await start();
  await open(page, "limits");
  await expect(page.getByText("No key is near a limit")).toBeVisible();
  for (let sent = 0; sent < 6; sent += 1) await fetch(`${server.proxyUrl}/hello`, { headers: { "X-Tenant": "acme" } });
  const keys = page.getByRole("table", { name: "Keys near their limit" });
  await expect(keys.getByRole("row", { name: /acme/ })).toContainText("4 of 4");
  await expect(keys.getByRole("row", { name: /acme/ })).toContainText("2");
  await expect(page.getByRole("table", { name: "Rate limits" }).getByRole("row", { name: /header x-tenant/ })).toContainText("4 per 1 h");
  await looksRight(page, "limits");
});

test("without the network, each page says so and keeps what was typed", async ({ page, expected }) => {
  expected.push("ERR_FAILED", "Failed to load resource");
  for (const path of ["configuration", "limits"]) {
    await page.route(/\/api\/(config|limits)$/, (route) => route.abort());
    await open(page, path);
    await expect(page.getByRole("alert").getByText("The server does not respond")).toBeVisible({ timeout: 15_000 });
    await page.unroute(/\/api\/(config|limits)$/);
    await page.getByRole("button", { name: "Try again" }).click();
    await expect(page.getByRole("alert").getByText("The server does not respond")).toBeHidden();
  }
  await open(page, "explain");
  await page.route("**/api/explain", (route) => route.abort());
  await page.getByLabel("URL").fill("/users/7");
  await page.getByRole("button", { name: "Explain request" }).click();
  await expect(page.getByText(/The server does not respond/)).toBeVisible();
  await expect(page.getByLabel("URL")).toHaveValue("/users/7");
});

test("the pages are offered in Indonesian", async ({ page }) => {
  await open(page, "configuration?view=edit");
  await page.getByRole("button", { name: "Language: English" }).click();
  await expect(page.getByRole("button", { name: "Terapkan konfigurasi" })).toBeVisible();
  for (const [path, text] of [["limits", "Batas laju"], ["explain", "Jelaskan permintaan"]] as const) {
    await open(page, path);
    await expect(page.getByRole("heading", { name: text })).toBeVisible();
    await fits(page, [360], path);
  }
});

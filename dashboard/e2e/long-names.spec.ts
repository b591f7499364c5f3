/** Names of 74 and of 200 characters, from right to left, and with emoji: no page needs horizontal scrolling, also with text of twice the size, and each cut text has its whole text as a title. On a server of its own. */
import type { Page } from "@playwright/test";

import { expect, test } from "./pages";
import { EMAIL, PASSWORD, type Server, createUser, json, startServer } from "./server";

/** 74 characters, the last of which tell it from others. */
const LONG = "nightly-builds-of-every-branch-and-of-every-tag-in-all-regions-of-asia-001";
/** The longest label, and the longest name of a user; the last characters tell it from others. */
const LONGEST = `${LONG}-${LONG}-${LONG}`.slice(-200);
const RTL = "مفتاح الفريق للبناء الليلي لكل فرع ولكل وسم في كل منطقة من مناطق آسيا ٠٠١";
const EMOJI = "🔑🚀👩‍👩‍👧‍👦".repeat(8);
/** Names of the configuration have at most 64 characters. */
const NAME = LONG.slice(0, 64);

const CONFIGURATION = `
control:
  rate_limits: []
signup: invite
plans:
  - {name: starter, credits_per_day: 1000, requests_per_minute: 600}
  - {name: ${NAME}, credits_per_day: 10}
providers:
  - {name: mock, kind: mock}
  - {name: ${NAME}, kind: openai, base_url: "http://127.0.0.1:9/v1", credential: vault}
models:
  - {name: ${LONG}, targets: [{provider: mock, model: mock}]}
  - {name: ${LONGEST}, targets: [{provider: mock, model: mock}]}
upstreams:
  - {name: ${NAME}, backends: [{url: "http://127.0.0.1:9/${LONG}"}]}
routes:
  - {name: ${NAME}, path: /${LONG}, upstreams: ${NAME}}
rate_limits:
  - {dimension: key, limit: 1000, window: 60s}
`;

const PAGES = ["overview?scope=me", "overview?scope=all", "usage?scope=all", "usage?scope=all&by=key", "usage?scope=all&by=user", "usage?scope=all&by=model", "day", "keys", "keys?scope=all", "playground", "models", "providers", "users", "users?show=invites", "plans", "budgets", "review", "upstreams", "routes", "limits", "explain", "configuration?view=history", "audit", "account", "setup"];
const WIDTHS = [1440, 1024, 390];

let server: Server;
test.beforeAll(async () => {
  server = await startServer(CONFIGURATION, (data) => createUser(EMAIL, LONGEST, ["--admin", ...data]));
  const { access_token: token, user } = await json(`${server.url}/api/auth/login`, undefined, { email: EMAIL, password: PASSWORD });
  const post = (path: string, body: unknown, method = "POST") => json(`${server.url}${path}`, String(token), body, method);
  for (const label of [LONG, RTL, EMOJI, LONGEST]) {
    const { key } = await post("/api/keys", { label });
    const headers = { "Content-Type": "application/json", Authorization: `Bearer ${String(key)}` };
    for (const model of [LONG, LONGEST]) {
      await fetch(`${server.proxyUrl}/v1/chat/completions`, { method: "POST", headers, body: JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] }) }).then((response) => response.text());
    }
    await fetch(`${server.proxyUrl}/${LONG}`, { headers }).then((response) => response.text());
    await post("/api/users", { email: `${LONG.slice(0, 50)}-${label.codePointAt(0)}-${label.length}@example.com`, name: label, plan: NAME });
  }
  await post("/api/invites", { email: `${LONG.slice(0, 60)}@example.com` });
  await post("/api/provider-keys", { provider: NAME, label: LONG, secret: "sk-0123456789abcdef" });
  await post(`/api/budgets/user/${(user as { id: string }).id}/tokens/day`, { tokens: 5 }, "PUT");
});
test.afterAll(() => server.stop());

/** The tables that are wider than their panel. Those of a configuration's text may scroll. */
function wideTables(page: Page): Promise<string[]> {
  return page.locator("main .tw:not(.scroll-box)").evaluateAll((tables) =>
    tables.flatMap((table) => (table.scrollWidth > table.clientWidth + 1 ? [`${table.querySelector("table")?.getAttribute("aria-label") ?? table.textContent?.slice(0, 40)}: ${table.scrollWidth} of ${table.clientWidth} px`] : [])),
  );
}

/** The texts that are cut and do not say what they are, once the pointer comes to them. */
function untitled(page: Page): Promise<string[]> {
  return page.locator("main *").evaluateAll((all) =>
    all.flatMap((element) => {
      const { textOverflow, overflowX } = getComputedStyle(element);
      const isCut = textOverflow === "ellipsis" && overflowX !== "visible" && element.scrollWidth > element.clientWidth && (element.textContent ?? "") !== "";
      if (!isCut || element.tagName === "INPUT") return [];
      element.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
      return element.closest("[title]") || element.querySelector("[title]") ? [] : [`${element.tagName}.${element.className}: ${element.textContent?.slice(0, 60)}`];
    }),
  );
}

/** How much wider the page is than the screen. */
function overflow(page: Page): Promise<number> {
  return page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
}

async function signInByPassword(page: Page): Promise<void> {
  await page.goto(`${server.url}/dashboard/login`);
  await page.getByLabel("Email", { exact: true }).fill(EMAIL);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/overview/);
}

test("long names, also from right to left and with emoji, fit every page and are whole in a title", async ({ page, expected }) => {
  test.setTimeout(180_000);
  expected.push("401", "404");
  await signInByPassword(page);
  for (const path of PAGES) {
    await page.goto(`${server.url}/dashboard/${path}`);
    await expect(page.locator("main h1, header h1").first()).toBeVisible();
    await page.waitForLoadState("networkidle");
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: 900 });
      await expect.poll(() => overflow(page), `${path} at ${width} px`).toBeLessThanOrEqual(0);
      await expect.poll(() => wideTables(page), `${path} at ${width} px`).toEqual([]);
      await expect.poll(() => untitled(page), `${path} at ${width} px`).toEqual([]);
    }
  }
});

test("a phone of 360 px with text of twice the size needs no horizontal scrolling", async ({ page, expected }) => {
  test.setTimeout(180_000);
  expected.push("401", "404");
  await page.setViewportSize({ width: 360, height: 800 });
  await signInByPassword(page);
  // The setting of the browser; the usual size is 16 px.
  const devtools = await page.context().newCDPSession(page);
  await devtools.send("Page.setFontSizes", { fontSizes: { standard: 32, fixed: 26 } });
  for (const path of PAGES) {
    await page.goto(`${server.url}/dashboard/${path}`);
    await expect(page.locator("main h1, header h1").first()).toBeVisible();
    await page.waitForLoadState("networkidle");
    expect(await page.locator("body").evaluate((body) => getComputedStyle(body).fontSize)).toBe("28px");
    await expect.poll(() => overflow(page), path).toBeLessThanOrEqual(0);
    await expect.poll(() => untitled(page), path).toEqual([]);
    await expect(page.locator("main h1, header h1").first()).toBeInViewport({ ratio: 0.5 });
    expect(await page.locator(".tabs-b > *").evaluateAll((tabs) => tabs.flatMap((tab) => (tab.scrollWidth > tab.clientWidth ? [tab.textContent] : []))), path).toEqual([]);
  }
});

test("a phone shows the columns that matter", async ({ page, expected }) => {
  expected.push("401");
  await page.setViewportSize({ width: 390, height: 844 });
  await signInByPassword(page);
  for (const [path, ...columns] of [["routes", "Failed"], ["upstreams", "Failed"], ["users", "Spend this month"], ["budgets", "Used"], ["usage?scope=all&by=user", "Spend", "Failed"]] as const) {
    await page.goto(`${server.url}/dashboard/${path}`);
    for (const column of columns) await expect(page.getByRole("columnheader", { name: column, exact: true }).first(), `${path}: ${column}`).toBeVisible();
  }
});

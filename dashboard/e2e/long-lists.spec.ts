/** Long lists: at most 50 rows of a table are in the document, and the last row can be reached. On a server of its own. */
import { request } from "node:http";

import type { Page } from "@playwright/test";

import { expect, test } from "./pages";
import { EMAIL, PASSWORD, type Server, createUser, json, startServer } from "./server";

const COUNT = 60;
const ROWS_MAX = 50;
/** The address of the oldest session. */
const FIRST_ADDRESS = "127.0.0.9";
/** Many dense rows are visible at once on such a screen. */
const TALL = { width: 2560, height: 2160 };

function numbered<T>(item: (nth: string) => T): T[] {
  return Array.from({ length: COUNT }, (_, nth) => item(String(nth).padStart(2, "0")));
}

const LONG_LABEL = "ci-runner with a long label for the nightly builds of every branch";

const CONFIGURATION = `
signup: invite
control:
  rate_limits: []
plans:
  - {name: starter, credits_per_day: 1000, requests_per_minute: 600}
providers:
  - {name: mock, kind: mock}
${numbered((nth) => `  - {name: provider-${nth}, kind: openai, base_url: "http://127.0.0.1:9/v1", credential: vault}`).join("\n")}
models:
  - {name: mock, targets: [{provider: mock, model: mock}]}
${numbered((nth) => `  - {name: model-${nth}, targets: [{provider: mock, model: mock}]}`).join("\n")}
`;

let server: Server;
let token: string;

/** Runs the calls a few at a time. */
async function all(calls: (() => Promise<unknown>)[]): Promise<void> {
  const left = [...calls];
  const worker = async () => {
    for (let call = left.shift(); call; call = left.shift()) await call();
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
}

test.beforeAll(async () => {
  test.setTimeout(90_000);
  server = await startServer(CONFIGURATION, (data) => createUser(EMAIL, "Ada Example", ["--admin", ...data]));
  token = await signInFrom(FIRST_ADDRESS, { email: EMAIL, password: PASSWORD });
  const post = (path: string, body: unknown) => () => json(`${server.url}${path}`, token, body);
  const [first, second] = [await json(`${server.url}/api/keys`, token, { label: "key-first" }), await json(`${server.url}/api/keys`, token, { label: "key-second" })];
  const call = (key: unknown, model: string) => async () => {
    const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] });
    const headers = { "Content-Type": "application/json", Authorization: `Bearer ${String(key)}` };
    const response = await fetch(`${server.proxyUrl}/v1/chat/completions`, { method: "POST", headers, body });
    if (!response.ok) throw new Error(`${model}: ${response.status} ${await response.text()}`);
    await response.text();
  };
  await all(numbered((nth) => call(Number(nth) % 2 === 0 ? first.key : second.key, `model-${nth}`)));
  const long = await json(`${server.url}/api/keys`, token, { label: LONG_LABEL });
  await call(long.key, "model-00")();
  await all([
    ...numbered((nth) => post("/api/keys", { label: `key-${nth}` })),
    ...numbered((nth) => post("/api/users", { email: `user-${nth}@example.com`, name: `User ${nth}`, plan: "starter" })),
    ...numbered((nth) => post("/api/plans", { name: `plan-${nth}` })),
    ...numbered((nth) => post("/api/invites", { email: `guest-${nth}@example.com` })),
    ...numbered((nth) => post("/api/provider-keys", { provider: `provider-${nth}`, label: `credential-${nth}`, secret: `sk-${nth}-0123456789abcdef` })),
    ...numbered((nth) => () => json(`${server.url}/api/budgets/plan/starter/tokens/day`, token, { tokens: 1_000_000 + Number(nth) }, "PUT")),
  ]);
  const users = (await (await fetch(`${server.url}/api/users?limit=${COUNT}`, { headers: { Authorization: `Bearer ${token}` } })).json()) as { items: { id: string }[] };
  await all(users.items.map(({ id }) => () => json(`${server.url}/api/budgets/user/${id}/tokens/day`, token, { tokens: 5 }, "PUT")));
});
test.afterAll(() => server.stop());

/** Begins a session from an address of this machine, and returns its token. The limit is 30 sign-ins per address. */
function signInFrom(localAddress: string, credentials: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { method: "POST", localAddress, headers: { "Content-Type": "application/json" } };
    const call = request(`${server.url}/api/auth/login`, options, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (part: string) => (body += part));
      response.on("end", () => {
        if (response.statusCode === 200) resolve((JSON.parse(body) as { access_token: string }).access_token);
        else reject(new Error(`${response.statusCode}: ${body}`));
      });
    });
    call.on("error", reject).end(JSON.stringify(credentials));
  });
}

async function open(page: Page, path: string): Promise<void> {
  await page.setViewportSize(TALL);
  await page.goto(`${server.url}/dashboard/login`);
  await page.getByLabel("Email", { exact: true }).fill(EMAIL);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(/overview/);
  await page.goto(`${server.url}/dashboard/${path}`);
}

async function hasFewRows(page: Page, table: string): Promise<void> {
  const rows = page.getByRole("table", { name: table, exact: true }).locator("tr");
  await expect(rows.nth(10)).toBeVisible();
  expect(await rows.count()).toBeLessThanOrEqual(ROWS_MAX);
}

/** How many rows the list has, with its head. */
async function lengthOf(page: Page, table: string): Promise<number> {
  return Number(await page.getByRole("table", { name: table, exact: true }).getAttribute("aria-rowcount"));
}

/** Scrolls to the end of a table; the row with the text is drawn then. */
async function reaches(page: Page, table: string, text: string): Promise<void> {
  const element = page.getByRole("table", { name: table, exact: true });
  await element.evaluate((node) => node.parentElement?.scrollTo(0, node.parentElement.scrollHeight));
  await expect(element.getByText(text, { exact: true }).first()).toBeVisible();
  await hasFewRows(page, table);
}

test("no table has more than 50 rows in the document", async ({ page, expected }) => {
  test.setTimeout(90_000);
  expected.push("401");
  await open(page, "keys");
  const lists = [
    ["keys", "Keys", "key-first"],
    ["users", "Users", "User 59"],
    ["users?show=invites", "Invitations", "guest-00@example.com"],
    ["plans", "Plans", "starter"],
    ["models", "Models", "model-59"],
    ["providers", "Providers", "provider-59"],
    ["providers", "Credentials", "credential-59"],
  ] as const;
  for (const [path, table, last] of lists) {
    await page.goto(`${server.url}/dashboard/${path}`);
    await hasFewRows(page, table);
    expect(await lengthOf(page, table)).toBeGreaterThan(COUNT);
    await reaches(page, table, last);
  }
  for (const [path, table, more] of [["budgets", "Budgets"], ["audit", "Audit log", "Show older changes"], ["usage", "Requests", "Show older requests"]] as const) {
    await page.goto(`${server.url}/dashboard/${path}`);
    await hasFewRows(page, table);
    if (!more) continue;
    const before = await lengthOf(page, table);
    await page.getByRole("button", { name: more }).click();
    await expect.poll(() => lengthOf(page, table)).toBeGreaterThan(before);
    await hasFewRows(page, table);
  }
  await page.goto(`${server.url}/dashboard/usage?range=90d&by=model`);
  await hasFewRows(page, "by model");
  await page.getByRole("button", { name: "View as table" }).click();
  await hasFewRows(page, "Spend per day by model");
});

test("a long name leaves the figures beside it visible", async ({ page, expected }) => {
  expected.push("401");
  await open(page, "overview");
  await page.setViewportSize({ width: 1440, height: 900 });
  const panel = page.getByRole("region", { name: "Keys this month" });
  await expect(panel.getByText(LONG_LABEL)).toBeVisible();
  await expect.poll(() => panel.locator(".tw").evaluate((node) => node.scrollWidth - node.clientWidth)).toBe(0);
});

test("the list of sessions has at most 50 rows in the document, and older sessions follow", async ({ page, expected }) => {
  test.setTimeout(60_000);
  expected.push("401");
  const { key } = await json(`${server.url}/api/keys`, token, { label: "key-of-sessions" });
  await all(numbered((nth) => () => signInFrom(`127.0.1.${1 + Math.floor(Number(nth) / 20)}`, { key: String(key) })));
  await open(page, "account");
  await hasFewRows(page, "Sessions");
  const before = await lengthOf(page, "Sessions");
  await page.getByRole("button", { name: "Show more sessions" }).click();
  await expect.poll(() => lengthOf(page, "Sessions")).toBeGreaterThan(Math.max(before, COUNT));
  await reaches(page, "Sessions", FIRST_ADDRESS);
});

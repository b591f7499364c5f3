/** What goes wrong outside of the page: each case is explained, and what was typed stays. */
import type { Page, Route } from "@playwright/test";

import { at, expect, signIn, test } from "./pages";

const LABEL = "<b>مفتاح</b> 🔑";

/** Opens the form of a new key with a label. */
async function typeLabel(page: Page, label: string) {
  await page.goto(at("/dashboard/keys?create=1"));
  const form = page.getByRole("dialog", { name: "Create key" });
  await form.getByLabel("Label", { exact: true }).fill(label);
  return form;
}

/** Signs in with the seeded key: a session of this test alone. */
async function signInWithKey(page: Page) {
  const response = await page.request.post(at("/api/auth/login"), { data: { key: process.env.SEEDED_KEY }, headers: { Origin: at("") } });
  expect(response.status()).toBe(200);
}

test("labels with markup, RTL and emoji are text on every page and in the palette", async ({ page }) => {
  await signIn(page);
  for (const path of ["overview?scope=me", "usage?by=key", "setup", "playground", "keys"]) {
    await page.goto(at(`/dashboard/${path}`));
    await page.waitForLoadState("networkidle");
    if (path.startsWith("overview") || path === "keys") await expect(page.getByText(LABEL, { exact: true })).toBeVisible();
    expect(await page.locator("main b", { hasText: /^مفتاح$/ }).count()).toBe(0);
  }
  await page.keyboard.press("Control+k");
  await page.getByRole("combobox").fill("مفتاح");
  const option = page.getByRole("option", { name: /مفتاح/ });
  await expect(option).toContainText("<b>");
  await option.click();
  await expect(page).toHaveURL(/\/dashboard\/keys\?q=/);
  await expect(page.getByText(LABEL, { exact: true })).toBeVisible();
});

test("a key that expires while the page is open is shown as ended", async ({ page }) => {
  await signIn(page);
  await page.clock.install();
  await page.goto(at("/dashboard/keys"));
  const row = page.getByRole("row", { name: /ci-runner/ });
  await expect(row).toContainText("Expires in");
  await page.clock.fastForward("25:00:00");
  await expect(row).toBeHidden();
  await page.getByRole("button", { name: /Ended/ }).click();
  await expect(row).toContainText("Expired");
});

for (const [name, answer] of [
  ["500", { status: 500, json: { error: { code: "internal", message: "x", status: 500 } } }],
  ["HTML", { status: 200, contentType: "text/html", body: "<html><h1>Captive portal</h1>" }],
  ["502 from a proxy", { status: 502, contentType: "text/html", body: "<h1>Bad Gateway</h1>" }],
] as const) {
  test(`an API that responds ${name} is explained, and the form keeps its values`, async ({ page, expected }) => {
    expected.push("500", "502");
    await signIn(page);
    const form = await typeLabel(page, "kept");
    await page.route("**/api/keys", (route) => (route.request().method() === "POST" ? route.fulfill(answer) : route.continue()));
    await form.getByRole("button", { name: "Create key" }).click();
    await expect(form.getByRole("alert")).toContainText("The key was not created");
    await expect(form.getByLabel("Label", { exact: true })).toHaveValue("kept");

    await page.route("**/api/dashboard/overview", (route) => route.fulfill(answer));
    await page.goto(at("/dashboard/overview?scope=me"));
    await expect(page.getByRole("button", { name: "Try again" }).first()).toBeVisible();
    await page.unroute("**/api/dashboard/overview");
    // The page may have recovered by itself, with the next live figures.
    await page.getByRole("button", { name: "Try again" }).first().click({ timeout: 2_000 }).catch(() => undefined);
    await expect(page.getByText("of $5.00")).toBeVisible();
  });
}

/** Milliseconds after which a page gives up a request. */
const PATIENCE_MS = 32_000;
const LIMITED = { status: 429, headers: { "Retry-After": "1" }, json: { error: { code: "rate_limited", message: "x", status: 429 } } };

for (const [name, respond] of [
  ["429", (route: Route) => route.fulfill(LIMITED)],
  ["500", (route: Route) => route.fulfill({ status: 500, json: { error: { code: "internal", message: "x", status: 500 } } })],
  ["HTML", (route: Route) => route.fulfill({ status: 200, contentType: "text/html", body: "<html><h1>Captive portal</h1>" })],
  ["nothing", () => undefined],
] as const) {
  test(`an API that responds to each fifth call with ${name} leaves no page without its data`, async ({ page, expected }) => {
    test.setTimeout(120_000);
    expected.push("429", "500", "EventSource");
    await signIn(page);
    if (name === "nothing") await page.clock.install();
    let calls = 0;
    await page.route("**/api/**", (route) => {
      calls += 1;
      return calls % 5 === 0 ? respond(route) : route.continue();
    });
    for (const path of ["overview?scope=me", "usage", "keys", "models", "budgets", "users", "audit", "account"]) {
      await page.goto(at(`/dashboard/${path}`));
      await expect(page.locator("h1").first()).toBeVisible();
      // Each failure is explained, and either the page or its reader tries again.
      await expect(async () => {
        if (name === "nothing") await page.clock.fastForward(PATIENCE_MS);
        for (const again of await page.getByRole("button", { name: "Try again" }).all()) await again.click({ timeout: 500 }).catch(() => undefined);
        await expect(page.locator("main").getByRole("alert")).toHaveCount(0, { timeout: 1_500 });
        await expect(page.locator("main [aria-busy=true]")).toHaveCount(0, { timeout: 1_500 });
        await expect(page.getByRole("button", { name: "Try again" })).toHaveCount(0, { timeout: 500 });
      }, path).toPass({ timeout: 30_000 });
      await expect(page.locator("main").first()).not.toBeEmpty();
    }
    expect(calls).toBeGreaterThan(20);
  });
}

test("a session that ends in another tab asks for a sign-in, and keeps what was typed", async ({ page, context, expected }) => {
  expected.push("401");
  await signInWithKey(page);
  await page.goto(at("/dashboard/playground"));
  await page.getByLabel("Message").fill("a long question");
  const other = await context.newPage();
  await other.goto(at("/dashboard/overview"));
  await other.getByRole("button", { name: "Sign out" }).first().click();
  await expect(other).toHaveURL(/\/dashboard\/login/);
  await page.getByRole("button", { name: "Create a key for this page" }).click();
  const ended = page.getByRole("dialog", { name: "Your session ended" });
  await expect(ended).toBeVisible();
  await ended.getByRole("tab", { name: "API key" }).click();
  await ended.getByRole("textbox", { name: "API key" }).fill(process.env.SEEDED_KEY ?? "");
  await ended.getByRole("button", { name: "Sign in with key" }).click();
  await expect(ended).toBeHidden();
  await expect(page.getByLabel("Message")).toHaveValue("a long question");
});

for (const [days, word] of [[1, "ahead of"], [-1, "behind"]] as const) {
  test(`a clock that is a day ${word} the server is explained`, async ({ page }) => {
    await signIn(page);
    await page.clock.install({ time: Date.now() + days * 86_400_000 });
    const form = await typeLabel(page, "kept");
    await expect(page.getByText(new RegExp(`2\\d h \\d+ min ${word} the server`))).toBeVisible();
    await expect(form.getByLabel("Label", { exact: true })).toHaveValue("kept");
  });
}

test("an API that does not respond for 30 s is explained, and the form keeps its values", async ({ page }) => {
  // The page's clock moves the deadline of a request, which the browser's own does not.
  await page.addInitScript(() => {
    AbortSignal.timeout = (milliseconds) => {
      const controller = new AbortController();
      setTimeout(() => controller.abort(new DOMException("late", "TimeoutError")), milliseconds);
      return controller.signal;
    };
  });
  await signIn(page);
  await page.clock.install();
  const form = await typeLabel(page, "kept");
  const sent = page.waitForRequest((request) => request.method() === "POST" && request.url().endsWith("/api/keys"));
  await page.route("**/api/keys", (route) => (route.request().method() === "POST" ? undefined : route.continue()));
  await form.getByRole("button", { name: "Create key" }).click();
  await sent;
  await page.clock.fastForward(29_000);
  await expect(form.getByRole("alert")).toBeHidden();
  await page.clock.fastForward(4_000);
  await expect(form.getByRole("alert")).toContainText("30 s");
  await expect(form.getByLabel("Label", { exact: true })).toHaveValue("kept");
});

test("a key that another tab revoked is explained where it is edited, and the form keeps its values", async ({ page, context, expected }) => {
  expected.push("404", "409");
  await signIn(page);
  const created = await page.request.post(at("/api/keys"), { data: { label: "in two tabs" }, headers: { Origin: at("") } });
  expect(created.status()).toBe(201);
  const { id } = (await created.json()) as { id: string };
  await page.goto(at("/dashboard/keys?q=in%20two"));
  await page.getByRole("button", { name: "Actions for in two tabs" }).click();
  await page.getByRole("menuitem", { name: "Edit key" }).click();
  const form = page.getByRole("dialog", { name: "Edit “in two tabs”" });
  await form.getByLabel("Label", { exact: true }).fill("renamed too late");
  const other = await context.newPage();
  await other.goto(at("/dashboard/keys?q=in%20two"));
  expect((await other.request.delete(at(`/api/keys/${id}`), { headers: { Origin: at("") } })).ok()).toBe(true);
  await form.getByRole("button", { name: "Save changes" }).click();
  await expect(form.getByRole("alert")).toContainText("The change was not made");
  await expect(form.getByLabel("Label", { exact: true })).toHaveValue("renamed too late");
  // The first tab shows the end of the key without a reload.
  await form.getByRole("button", { name: "Cancel" }).click();
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange", { bubbles: true })));
  await expect(page.getByRole("row", { name: /in two tabs/ })).toBeHidden();
});

test("a page whose session became that of another user in another tab says so, and keeps what was typed", async ({ page }) => {
  await signIn(page);
  const form = await typeLabel(page, "kept");
  await expect(page.getByText("Ada Example")).toBeVisible();
  await page.route("**/api/me", async (route) => {
    const response = await route.fetch();
    const me = (await response.json()) as { user: object };
    await route.fulfill({ response, json: { ...me, user: { ...me.user, id: "01938f3c-0000-7000-8000-000000000001", name: "Bob Example" } } });
  });
  await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange", { bubbles: true })));
  await expect(page.getByText("Another tab signed in as Bob Example")).toBeVisible();
  await expect(form.getByLabel("Label", { exact: true })).toHaveValue("kept");
});

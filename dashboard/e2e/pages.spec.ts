import type { Page } from "@playwright/test";

import { fits, isAccessible } from "./looks";
import { at, expect, signIn, test } from "./pages";
import { EMAIL, PASSWORD } from "./server";

// Each test opens its own page, and none changes the data of the server.
test.describe.configure({ mode: "parallel" });

const PAGES = [
  ["/", "One address for every model and API"],
  ["/docs", "Documentation"],
  ["/docs/api", "Tollgate admin API"],
  ["/dashboard/login", "Sign in"],
  ["/dashboard/overview", "Overview"],
  ["/dashboard/keys", "Keys"],
  ["/dashboard/usage", "Usage"],
  ["/dashboard/day", "Day"],
  ["/dashboard/billing", "Billing"],
  ["/dashboard/invoices", "Invoices"],
  ["/dashboard/pay", "Pay invoice"],
  ["/dashboard/webhooks", "Webhooks"],
  ["/dashboard/users", "Users"],
  ["/dashboard/plans", "Plans"],
  ["/dashboard/budgets", "Budgets"],
  ["/dashboard/review", "Review"],
  ["/dashboard/audit", "Audit log"],
  ["/dashboard/configuration", "Configuration"],
  ["/dashboard/upstreams", "Upstreams"],
  ["/dashboard/routes", "Routes"],
  ["/dashboard/limits", "Limits"],
  ["/dashboard/explain", "Explain"],
  ["/dashboard/playground", "Playground"],
  ["/dashboard/models", "Models"],
  ["/dashboard/models?id=mock", "Models"],
  ["/dashboard/providers", "Providers"],
  ["/dashboard/providers?add=openai", "Add credential"],
  ["/dashboard/keys?create=1", "Create key"],
] as const;

for (const [path, heading] of PAGES) {
  test(`${path} has no accessibility problem, in both themes, and fits a phone`, async ({ page, expected }) => {
    expected.push("401");
    if (path !== "/dashboard/login") await signIn(page);
    await page.goto(at(path));
    await expect(page.getByRole("heading", { name: heading, exact: true }).first()).toBeVisible();
    await page.waitForLoadState("networkidle");
    await isAccessible(page, { isStrict: true });
    await fits(page, [360, 768, 1920]);
  });
}

test("the overview shows use, limits and what needs attention", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/overview?range=14d&scope=me"));
  await expect(page.getByRole("meter", { name: /Credits today/ })).toBeVisible();
  await expect(page.getByText("of $5.00")).toBeVisible();
  await expect(page.getByText(/Key “ci-runner” expires in/)).toBeVisible();
  await expect(page.getByRole("cell", { name: "mock/echo" }).first()).toBeVisible();
  await page.getByRole("button", { name: "View as table" }).click();
  await expect(page.getByRole("table", { name: "Requests per day" })).toBeVisible();
});

test("a request opens with its timeline and cost, and a failure with its reason", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/usage"));
  const requests = page.getByRole("table", { name: "Requests" });
  await requests.getByRole("row", { name: /mock\/tokens-400/ }).first().click();
  const drawer = page.getByRole("complementary", { name: /mock\/tokens-400/ });
  await expect(drawer.getByRole("heading", { name: "Timeline" })).toBeVisible();
  await expect(drawer.getByRole("cell", { name: "Output" })).toBeVisible();
  await expect(page).toHaveURL(/id=[0-9a-f-]{36}/);
  await page.keyboard.press("Escape");
  await expect(drawer).toBeHidden();
  await page.getByRole("group", { name: "Result" }).getByRole("button", { name: "Failed" }).click();
  await expect(page).toHaveURL(/status=failed/);
  // A test that runs again finds the requests of its first run too.
  await expect(requests.getByRole("row", { name: /mock\/500/ }).first()).toBeVisible();
  await expect(requests.getByRole("row", { name: /mock\/echo/ })).toHaveCount(0);
});

const REFRESHED = [
  ["/dashboard/overview?scope=me", "of $5.00"],
  ["/dashboard/usage?range=14d", "mock/echo"],
  ["/dashboard/keys", "ci-runner"],
  ["/dashboard/audit", "127.0.0.1"],
  ["/dashboard/configuration", "The file is in force"],
  ["/dashboard/limits", "Requests without a valid key"],
  ["/dashboard/models", "openai/gpt-5-mini"],
  ["/dashboard/providers", "openai has no credential"],
] as const;

/** Lets time pass for the page, 7 s at once, until it shows its warning or no longer does. */
async function passUntil(page: Page, isWarned: boolean): Promise<void> {
  const warning = page.getByText("The figures may be old");
  await expect(async () => {
    await page.clock.runFor(7_000);
    // In this time the requests of the page get their responses.
    await expect(warning).toBeVisible({ visible: isWarned, timeout: 150 });
  }).toPass({ intervals: [0], timeout: 16_000 });
}

for (const [path, text] of REFRESHED) {
  test(`with the network cut, ${path} keeps its data, says so and recovers`, async ({ page, expected }) => {
    expected.push("ERR_FAILED", "Failed to load resource");
    await signIn(page);
    await page.clock.install();
    await page.goto(at(path));
    const data = page.getByText(text).filter({ visible: true }).first();
    await expect(data).toBeVisible();
    // Each part of the page has its data: one that has none yet cannot keep it.
    await page.waitForLoadState("networkidle");
    await page.route("**/api/**", (route) => route.abort());
    await passUntil(page, true);
    await expect(data).toBeVisible();
    await page.unroute("**/api/**");
    await passUntil(page, false);
  });
}

test("a session that ends elsewhere asks for a sign-in over the page", async ({ page, expected }) => {
  expected.push("401");
  await signIn(page);
  await page.goto(at("/dashboard/keys"));
  await page.getByRole("button", { name: "Create key" }).click();
  const form = page.getByRole("dialog", { name: "Create key" });
  await form.getByLabel("Label", { exact: true }).fill("kept");
  await page.route("**/api/**", (route) => route.fulfill({ status: 401, json: { error: { code: "unauthorized", message: "ended", status: 401 } } }));
  await form.getByRole("button", { name: "Create key" }).click();
  const ended = page.getByRole("dialog", { name: "Your session ended" });
  await expect(ended).toBeVisible();
  await page.unroute("**/api/**");
  await ended.getByLabel("Email", { exact: true }).fill(EMAIL);
  await ended.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await ended.getByRole("button", { name: "Sign in" }).click();
  await expect(ended).toBeHidden();
  await expect(form.getByLabel("Label", { exact: true })).toHaveValue("kept");
});

test("Indonesian is offered", async ({ page }) => {
  await page.goto(at("/"));
  await page.getByRole("button", { name: "Language: English" }).click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Satu alamat untuk setiap model dan API");
  await page.reload();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Satu alamat untuk setiap model dan API");
  await expect(page.locator("html")).toHaveAttribute("lang", "id");
});

test.describe("on a touch screen", () => {
  test.use({ hasTouch: true, isMobile: true, viewport: { width: 390, height: 844 } });
  for (const [path, heading] of PAGES) {
    test(`targets of ${path} are at least 44 px`, async ({ page, expected }) => {
      expected.push("401");
      if (path !== "/dashboard/login") await signIn(page);
      await page.goto(at(path));
      await expect(page.getByRole("heading", { name: heading, exact: true }).first()).toBeVisible();
      await page.waitForLoadState("networkidle");
      // A link within a sentence is exempt (WCAG 2.2, 2.5.5).
      const small = await page.evaluate(() => {
        const targets = [...document.querySelectorAll<HTMLElement>("button, select, textarea, summary, a.btn, .tabs-b a, tr[tabindex], input:not([type=checkbox], [type=radio]), label:has(> input)")];
        return targets.filter((target) => target.checkVisibility({ visibilityProperty: true })).flatMap((target) => {
          const { width, height } = target.getBoundingClientRect();
          const isInText = target.closest("p") !== null;
          return width < 2 || isInText || (width >= 43.5 && height >= 43.5) ? [] : [`${Math.round(width)}x${Math.round(height)} ${target.outerHTML.slice(0, 120)}`];
        });
      });
      expect(small).toEqual([]);
    });
  }
});

test("the submit button of a new key is on the screen, and stays there with all fields", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/keys?create=1"));
  const form = page.getByRole("dialog", { name: "Create key" });
  const submit = form.getByRole("button", { name: "Create key" });
  await expect(submit).toBeInViewport({ ratio: 1 });
  await form.getByText("More", { exact: true }).click();
  await expect(form.getByLabel("Money per month")).toBeVisible();
  await expect(submit).toBeInViewport({ ratio: 1 });
});

test("the API reference has the type of the dashboard, and leads back", async ({ page }) => {
  await page.goto(at("/docs/api"));
  await expect(page.getByRole("heading", { name: "Tollgate admin API", level: 1 })).toBeVisible();
  await expect.poll(() => page.evaluate(() => document.fonts.check("14px 'Geist Variable'"))).toBe(true);
  await page.getByRole("link", { name: "Documentation" }).click();
  await expect(page).toHaveURL(/\/docs$/);
});

test("the documentation leads to the documents in the binary, and back", async ({ page, expected }) => {
  expected.push("401");
  await page.goto(at("/docs"));
  await page.getByRole("link", { name: "Rate limits", exact: true }).click();
  await expect(page).toHaveURL(/\/docs\/rate-limits$/);
  await expect(page.getByRole("heading", { name: "Rate limits", level: 1 })).toBeVisible();
  await page.getByRole("link", { name: "documentation" }).click();
  await expect(page).toHaveURL(/\/docs$/);
});

test("a document has a search by keyboard, and its list of pages folds on a phone", async ({ page }) => {
  await page.goto(at("/docs/routing"));
  const side = page.getByRole("navigation", { name: "Documentation" });
  await expect(side.getByRole("link", { name: "Routing", exact: true })).toHaveAttribute("aria-current", "page");
  await page.keyboard.press("/");
  const search = page.getByRole("searchbox", { name: "Search titles and headings" });
  await search.fill("key expired");
  await expect(page.getByText("1 result", { exact: true })).toBeVisible();
  await search.press("Enter");
  await expect(page).toHaveURL(/\/docs\/errors#key_expired$/);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(at("/docs/routing"));
  await expect(side.getByRole("link", { name: "Routing", exact: true })).toBeHidden();
  await side.getByText("All pages", { exact: true }).click();
  await expect(side.getByRole("link", { name: "Routing", exact: true })).toBeVisible();
});

test("the first call of the landing page is shown whole", async ({ page, expected }) => {
  expected.push("401");
  await page.goto(at("/"));
  const code = page.locator("pre", { hasText: "curl -N" });
  await expect(code).toContainText("messages");
  await expect.poll(() => code.evaluate((box) => box.scrollWidth - box.clientWidth)).toBeLessThanOrEqual(0);
});

test("a page with a slash at its end opens, and an unknown address is a page", async ({ page, expected }) => {
  expected.push("404");
  await signIn(page);
  await page.goto(at("/dashboard/usage/"));
  await expect(page).toHaveURL(/\/dashboard\/usage$/);
  await expect(page.getByRole("heading", { name: "Usage", level: 1 })).toBeVisible();
  expect((await page.goto(at("/nope")))?.status()).toBe(404);
  await expect(page.getByText("This page does not exist")).toBeVisible();
});

test("an unknown page says so", async ({ page, expected }) => {
  expected.push("404");
  const response = await page.goto(at("/dashboard/none"));
  expect(response?.status()).toBe(404);
  await expect(page.getByText("This page does not exist")).toBeVisible();
});

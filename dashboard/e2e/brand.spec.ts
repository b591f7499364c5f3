/** The brand's name and colour, on a server of their own. */

import { isAccessible, showTheme } from "./looks";
import { expect, test } from "./pages";
import { type Server, startServer } from "./server";

const COLOR = "#c2410c";
const CONFIGURATION = `mock: true\nbrand:\n  name: Weir Gate\n  color: '${COLOR}'\ncontrol:\n  rate_limits: []\n`;

let server: Server;
test.beforeAll(async () => {
  server = await startServer(CONFIGURATION);
});
test.afterAll(() => server.stop());

/** The colour of a token as the page computes it, with its hue in degrees. */
function hue(name: string): number {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.color = `oklch(from var(${name}) l c h)`;
  const parts = /oklch\(\S+ \S+ (\S+)\)/.exec(getComputedStyle(probe).color);
  probe.remove();
  return Number(parts?.[1]);
}

for (const [path, heading] of [["/", "One address"], ["/link", "This page needs a link"], ["/dashboard/login", "Sign in"], ["/docs", "Documentation"]] as const) {
  test(`${path} has the brand's name and colour, with enough contrast in both themes`, async ({ page, expected }) => {
    expected.push("401");
    for (const colorScheme of ["light", "dark"] as const) {
      await showTheme(page, colorScheme);
      await page.goto(`${server.url}${path}`);
      await expect(page.getByRole("heading", { name: heading }).first()).toBeVisible();
      await expect(page.getByRole("banner").getByText("Weir Gate", { exact: true })).toBeVisible();
      await expect(page).toHaveTitle(/Weir Gate/);
      await expect(page.locator("body")).not.toContainText("Tollgate");
      expect(await page.evaluate(() => document.documentElement.style.getPropertyValue("--brand"))).toBe(COLOR);
      // The hue of the brand; the theme chooses lightness and chroma.
      const [brand, accent] = [await page.evaluate(hue, "--brand"), await page.evaluate(hue, "--accent")];
      expect(Math.abs(brand - accent)).toBeLessThan(3);
    }
    await isAccessible(page, { name: path });
  });
}

test("the brand's colour of the last visit is there before the first paint", async ({ page, expected }) => {
  expected.push("ERR_FAILED");
  await page.goto(server.url);
  await expect(page.getByText("Weir Gate", { exact: true }).first()).toBeVisible();
  await page.route("**/api/**", (route) => route.abort());
  await page.reload({ waitUntil: "commit" });
  await expect(page.locator("html")).toHaveAttribute("data-brand", "");
  expect(await page.evaluate(() => document.documentElement.style.getPropertyValue("--brand"))).toBe(COLOR);
});

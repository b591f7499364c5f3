/**
 * Screenshots. Twelve are compared with `docs/screenshots`, which `make screenshots` writes again. With SCREENSHOTS, such
 * as `360,1280,1920`, every page is drawn in both themes and in Indonesian
 * into `screenshots/`, for people.
 */
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { Page } from "@playwright/test";

import { freeze } from "./frozen";
import { at, expect, signIn, test } from "./pages";

/** Charts have a range of days, because the hour of the requests differs from run to run. */
const PAGES = [
  ["landing", "/"],
  ["documentation", "/docs"],
  ["login", "/dashboard/login"],
  ["overview", "/dashboard/overview?range=14d"],
  ["keys", "/dashboard/keys"],
  ["keys-create", "/dashboard/keys?create=1"],
  ["usage", "/dashboard/usage?range=14d"],
  ["register", "/dashboard/register"],
  ["link", "/link"],
  ["account", "/dashboard/account"],
  ["users", "/dashboard/users"],
  ["users-create", "/dashboard/users?new=user"],
  ["plans", "/dashboard/plans"],
  ["plans-create", "/dashboard/plans?new=1"],
  ["budgets", "/dashboard/budgets"],
  ["budgets-set", "/dashboard/budgets?set=key"],
  ["audit", "/dashboard/audit"],
  ["configuration", "/dashboard/configuration"],
  ["configuration-edit", "/dashboard/configuration?view=edit"],
  ["upstreams", "/dashboard/upstreams"],
  ["routes", "/dashboard/routes"],
  ["limits", "/dashboard/limits"],
  ["explain", "/dashboard/explain"],
  ["playground", "/dashboard/playground?model=mock"],
  ["models", "/dashboard/models"],
  ["model", "/dashboard/models?id=mock"],
  ["providers", "/dashboard/providers"],
  ["providers-add", "/dashboard/providers?add=openai"],
  ["setup", "/dashboard/setup"],
] as const;
const COMPARED = ["landing", "login", "overview", "keys", "usage", "playground"] as const;
const FOLDER = join(import.meta.dirname, "..", "..", "docs", "screenshots");
/** The major version of Chromium that drew the files: another one draws text differently. */
const DRAWN_BY = join(FOLDER, "chromium.txt");
const BYTES_MAX = 3_000_000;
/** Two builds of one version differ at the edges of letters. A moved or missing part of a page changes more pixels. */
const TOLERANCE = { threshold: 0.2, maxDiffPixelRatio: 0.005 };

const major = (version: string): string => version.split(".")[0] ?? "";

/** Opens a page with frozen data, and waits until nothing of it is missing. */
async function draw(page: Page, { path, theme, isSignedIn }: { path: string; theme: "light" | "dark"; isSignedIn: boolean }): Promise<void> {
  await freeze(page);
  await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
  if (isSignedIn) await signIn(page);
  await page.goto(at(path));
  await page.waitForLoadState("networkidle");
  await page.evaluate(() => document.fonts.ready);
}

test.describe("compared", () => {
  for (const theme of ["light", "dark"] as const) {
    for (const name of COMPARED) {
      test(`${name} in ${theme} looks as in docs/screenshots`, async ({ page, browser, expected }, { config }) => {
        expected.push("401");
        const isWriting = config.updateSnapshots === "all";
        const drawnBy = isWriting ? major(browser.version()) : readFileSync(DRAWN_BY, "utf8").trim();
        if (drawnBy !== major(browser.version())) {
          process.stdout.write(`not compared: Chromium ${drawnBy} drew the screenshots, and this one is ${browser.version()}\n`);
          return;
        }
        if (isWriting) writeFileSync(DRAWN_BY, `${drawnBy}\n`);
        await draw(page, { path: PAGES.find(([page]) => page === name)?.[1] ?? "/", theme, isSignedIn: name !== "login" && name !== "landing" });
        await expect(page).toHaveScreenshot(`${name}-${theme}.png`, { ...TOLERANCE, animations: "disabled", caret: "hide", scale: "css" });
      });
    }
  }

  test("the screenshots are at most 3 MB", () => {
    const bytes = readdirSync(FOLDER).reduce((sum, file) => sum + statSync(join(FOLDER, file)).size, 0);
    expect(bytes).toBeLessThanOrEqual(BYTES_MAX);
  });
});

const WIDTHS = (process.env.SCREENSHOTS ?? "").split(",").filter((width) => width !== "");
/** Texts are longer in Indonesian, and their colours are those of English. */
const LOOKS = [["light", "en-GB"], ["dark", "en-GB"], ["light", "id-ID"]] as const;
const SIGNED_OUT: readonly string[] = ["landing", "login", "register", "link"];

for (const [theme, locale] of LOOKS) {
  test.describe(`${theme} ${locale}`, () => {
    test.use({ locale });
    for (const width of WIDTHS) {
      for (const [name, path] of PAGES) {
        test(`${name} ${width} has no overflow`, async ({ page, expected }) => {
          expected.push("401");
          await page.setViewportSize({ width: Number(width), height: 900 });
          await draw(page, { path, theme, isSignedIn: !SIGNED_OUT.includes(name) });
          await page.screenshot({ path: `screenshots/${name}-${theme}-${locale.slice(0, 2)}-${width}.png`, fullPage: true, animations: "disabled", caret: "hide" });
          const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          await expect.poll(overflow).toBeLessThanOrEqual(0);
        });
      }
    }
  });
}

/** What is checked of how a page looks: accessibility in both themes, and that it fits screens of several widths. */
import AxeBuilder from "@axe-core/playwright";
import { type Page, expect } from "@playwright/test";

/** The rules of axe whose findings depend on colours. The theme changes nothing else of a page. */
const OF_COLOURS = ["color-contrast", "link-in-text-block"];

export interface Look {
  /** Names the page in a failure. */
  name?: string;
  /** Whether minor findings fail too, and experimental rules apply. */
  isStrict?: boolean;
  /** The part of the page that is checked. */
  within?: string;
}

/** Gives the page a theme of the system, and waits until the page shows it. */
export async function showTheme(page: Page, colorScheme: "light" | "dark"): Promise<void> {
  await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
  await page.waitForFunction((scheme) => matchMedia(`(prefers-color-scheme: ${scheme})`).matches, colorScheme);
  await page.evaluate(() => new Promise((shown) => requestAnimationFrame(() => requestAnimationFrame(shown))));
}

/** Expects that axe finds no problem: by all rules in the light theme, and by those of colours in the dark one. */
export async function isAccessible(page: Page, { name = "", isStrict = false, within }: Look = {}): Promise<void> {
  for (const theme of ["light", "dark"] as const) {
    await showTheme(page, theme);
    // The other mode loads axe into a second page, for frames of other origins, which no page has. It takes twice the time.
    const axe = new AxeBuilder({ page }).setLegacyMode();
    if (within) axe.include(within);
    if (theme === "dark") axe.withRules(OF_COLOURS);
    // Axe does not apply this experimental rule by default.
    else if (isStrict) axe.options({ rules: { "label-content-name-mismatch": { enabled: true } } });
    const { violations } = await axe.analyze();
    const counted = violations.filter(({ impact }) => isStrict || impact === "serious" || impact === "critical");
    expect(counted.map(({ id, nodes }) => `${name} ${theme} ${id}: ${nodes.map(({ html, any }) => `${html} ${any[0]?.message ?? ""}`).join(" ")}`)).toEqual([]);
  }
}

/** Expects that the page needs no horizontal scrolling at these widths, the last of which it keeps. */
export async function fits(page: Page, widths: readonly number[], name = ""): Promise<void> {
  for (const width of widths) {
    await page.setViewportSize({ width, height: 800 });
    const overflow = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    // A chart follows the width in the next frame.
    await expect.poll(overflow, `${name} ${width} px`).toBeLessThanOrEqual(0);
  }
}

/** Keeps pictures of the page in both themes, for people. */
export async function keepPictures(page: Page, path: string, widths: readonly number[]): Promise<void> {
  for (const theme of ["light", "dark"] as const) {
    await showTheme(page, theme);
    for (const width of widths) {
      await page.setViewportSize({ width, height: 800 });
      await page.screenshot({ path: `${path}-${theme}-${width}.png`, fullPage: true, animations: "disabled" });
    }
  }
}

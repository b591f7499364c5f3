/** How much the parts of a page move while it loads (Cumulative Layout Shift), with an empty cache of the page's data. */
import { at, expect, signIn, test } from "./pages";

const SHIFT_MAX = 0.05;
/** Without the overview, whose list of what needs attention is as long as that is. */
const PAGES = ["usage", "day", "keys", "playground", "models", "providers", "users", "plans", "budgets", "review", "upstreams", "routes", "limits", "explain", "configuration", "audit", "account"];

test("the parts of a page move little while it loads", async ({ page, expected }) => {
  test.setTimeout(120_000);
  // A day without a complete review.
  expected.push("404");
  await signIn(page);
  const shifts: string[] = [];
  for (const path of PAGES) {
    await page.goto(at(`/dashboard/${path}`));
    await page.waitForLoadState("networkidle");
    const shift = await page.evaluate(() => new Promise<number>((resolve) => {
      let sum = 0;
      new PerformanceObserver((list) => {
        for (const entry of list.getEntries() as (PerformanceEntry & { value: number; hadRecentInput: boolean })[]) if (!entry.hadRecentInput) sum += entry.value;
      }).observe({ type: "layout-shift", buffered: true });
      // Entries that are buffered arrive before the second frame.
      requestAnimationFrame(() => requestAnimationFrame(() => resolve(sum)));
    }));
    if (shift > SHIFT_MAX) shifts.push(`${path}: ${shift.toFixed(3)}`);
  }
  expect(shifts).toEqual([]);
});

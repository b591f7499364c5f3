/** Screenshots of every page, for people: `SCREENSHOTS=1 npm run pages -- screenshots`. */
import { at, signIn, test } from "./pages";

const PAGES = [
  ["landing", "/"],
  ["documentation", "/docs"],
  ["login", "/dashboard/login"],
  ["overview", "/dashboard/overview"],
  ["keys", "/dashboard/keys"],
  ["keys-create", "/dashboard/keys?create=1"],
  ["usage", "/dashboard/usage"],
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
  ["models", "/dashboard/models"],
  ["model", "/dashboard/models?id=mock"],
  ["providers", "/dashboard/providers"],
  ["providers-add", "/dashboard/providers?add=openai"],
] as const;
const WIDTHS = (process.env.SCREENSHOTS === "1" ? "1280" : (process.env.SCREENSHOTS ?? "")).split(",").filter((width) => width !== "");
const SETTLED_MS = 700;

for (const width of WIDTHS) {
  for (const theme of ["light", "dark"] as const) {
    for (const [name, path] of PAGES) {
      test(`${name} ${theme} ${width}`, async ({ page, expected }) => {
        expected.push("401");
        await page.emulateMedia({ colorScheme: theme });
        await page.setViewportSize({ width: Number(width), height: 900 });
        if (name !== "login") await signIn(page);
        await page.goto(at(path));
        await page.waitForTimeout(SETTLED_MS);
        await page.screenshot({ path: `screenshots/${name}-${theme}-${width}.png`, fullPage: true });
      });
    }
  }
}

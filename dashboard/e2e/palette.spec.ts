import AxeBuilder from "@axe-core/playwright";

import { at, expect, showTheme, signIn, test } from "./pages";

test("the palette and the shortcuts open pages without a mouse", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/overview?scope=me"));
  await expect(page.getByText("of $5.00")).toBeVisible();
  await page.keyboard.press("Control+k");
  const field = page.getByRole("combobox", { name: "Search or jump to" });
  await expect(field).toBeFocused();
  for (const colorScheme of ["light", "dark"] as const) {
    await showTheme(page, colorScheme);
    const { violations } = await new AxeBuilder({ page }).include(".palette").analyze();
    expect(violations.filter(({ impact }) => impact === "serious" || impact === "critical").map(({ id }) => id)).toEqual([]);
  }
  await page.keyboard.type("play");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/\/dashboard\/playground/);
  await page.getByRole("heading", { name: "Playground", level: 1 }).click();
  await page.keyboard.press("g");
  await page.keyboard.press("u");
  await expect(page).toHaveURL(/\/dashboard\/usage/);
  await page.keyboard.press("t");
  await expect(page.locator("html")).toHaveAttribute("data-theme", /dark|light/);
  await page.keyboard.press("Shift+?");
  await expect(page.getByRole("dialog", { name: "Keyboard shortcuts" })).toBeVisible();
  await page.keyboard.press("Escape");
  await page.keyboard.press("c");
  await expect(page.getByRole("dialog", { name: "Create key" })).toBeVisible();
  await page.keyboard.type("c");
  await expect(page.getByRole("dialog", { name: "Create key" }).getByLabel("Label", { exact: true })).toHaveValue("c");
});

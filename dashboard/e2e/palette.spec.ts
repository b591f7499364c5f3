
import { isAccessible } from "./looks";
import { at, expect, signIn, test } from "./pages";

test("the palette and the shortcuts open pages without a mouse", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/overview?scope=me"));
  await expect(page.getByText("of $5.00")).toBeVisible();
  await page.keyboard.press("Control+k");
  const field = page.getByRole("combobox", { name: "Search or jump to" });
  await expect(field).toBeFocused();
  await isAccessible(page, { within: ".palette" });
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

import type { Page } from "@playwright/test";

import { at, expect, signIn, test } from "./pages";

/** Revokes a key whose menu is open. The dialog asks for the label if the list already shows a use of the key. */
async function revokeInMenu(page: Page, label: string) {
  await page.getByRole("menuitem", { name: "Revoke key" }).click();
  const revoke = page.getByRole("dialog", { name: `Revoke “${label}”?` });
  await expect(revoke).toBeVisible();
  const confirm = revoke.getByLabel("Label of the key");
  if (await confirm.isVisible()) await confirm.fill(label);
  await revoke.getByRole("button", { name: "Revoke key" }).click();
  await expect(revoke).toBeHidden();
}

test("a key is created, shown once, edited, rotated and revoked", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/keys"));
  await page.getByRole("button", { name: "Create key" }).click();
  const form = page.getByRole("dialog", { name: "Create key" });
  await form.getByRole("button", { name: "Create key" }).click();
  await expect(form.getByText("Enter a label")).toBeVisible();
  await form.getByLabel("Label", { exact: true }).fill("reporting");
  await form.getByLabel("Credits per day").fill("250");
  await form.getByRole("button", { name: "Create key" }).click();

  const secret = page.getByRole("dialog", { name: "Key “reporting” is ready" });
  await expect(secret.getByTestId("secret")).toHaveText(/^tollgate_[0-9a-f]{32}$/);
  await page.keyboard.press("Escape");
  await expect(secret).toBeVisible();
  const key = await secret.getByTestId("secret").innerText();
  await secret.getByLabel("I have stored the key").check();
  await secret.getByRole("button", { name: "Done" }).click();
  await expect(secret).toBeHidden();
  expect(await page.content()).not.toContain(key);
  const used = await fetch(at("/api/usage/today"), { headers: { Authorization: `Bearer ${key}` } });
  expect(used.status).toBe(200);

  const row = page.getByRole("row", { name: /reporting/ });
  await expect(row).toContainText("0 / 250");
  await row.getByRole("button", { name: "Actions for reporting" }).click();
  await page.getByRole("menuitem", { name: "Edit key" }).click();
  await page.getByRole("dialog").getByLabel("Label", { exact: true }).fill("monthly reports");
  await page.getByRole("button", { name: "Save changes" }).click();
  const renamed = page.getByRole("row", { name: /monthly reports/ });
  await expect(renamed).toBeVisible();

  await renamed.getByRole("button", { name: /Actions/ }).click();
  await page.getByRole("menuitem", { name: "Rotate secret" }).click();
  await page.getByLabel("for 1 hour").check();
  await page.getByRole("dialog").getByRole("button", { name: "Rotate secret" }).click();
  const rotated = page.getByRole("dialog", { name: "“monthly reports” has a new secret" });
  expect(await rotated.getByTestId("secret").innerText()).not.toBe(key);
  await rotated.getByLabel("I have stored the key").check();
  await rotated.getByRole("button", { name: "Done" }).click();
  await expect(renamed).toContainText("Old secret for");

  await renamed.getByRole("button", { name: /Actions/ }).click();
  await revokeInMenu(page, "monthly reports");
  await expect(renamed).toBeHidden();
  await page.getByRole("button", { name: /Ended/ }).click();
  await expect(renamed).toContainText("Revoked");
});

test("a key with the scope admin needs an expiry, administers, and is marked in the list", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/keys?create=1"));
  const form = page.getByRole("dialog", { name: "Create key" });
  await form.getByLabel("Label", { exact: true }).fill("shop");
  await form.getByLabel("Scope").selectOption("Administration");
  await form.getByRole("button", { name: "Create key" }).click();
  await expect(form.getByLabel("Expires on")).toBeFocused();
  await form.getByLabel("Expires on").fill(new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10));
  await form.getByLabel("Addresses and networks").fill("127.0.0.0/8");
  if (process.env.PAGE_SCREENSHOTS) await page.screenshot({ path: `${process.env.PAGE_SCREENSHOTS}/admin-key.png` });
  await form.getByRole("button", { name: "Create key" }).click();
  const secret = page.getByRole("dialog", { name: "Key “shop” is ready" });
  const key = await secret.getByTestId("secret").innerText();
  await secret.getByLabel("I have stored the key").check();
  await secret.getByRole("button", { name: "Done" }).click();
  const users = await fetch(at("/api/users"), { headers: { Authorization: `Bearer ${key}` } });
  expect(users.status).toBe(200);
  const row = page.getByRole("row", { name: /shop/ });
  await expect(row).toContainText("Admin");
  await expect(row).toContainText("Administration · From 127.0.0.0/8");
  if (process.env.PAGE_SCREENSHOTS) await page.screenshot({ path: `${process.env.PAGE_SCREENSHOTS}/keys.png` });
  await row.getByRole("button", { name: "Actions for shop" }).click();
  await revokeInMenu(page, "shop");
  await expect(row).toBeHidden();
});

test("the page of a key draws its calls by day, and leads to an explanation with the key", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/keys?q=laptop"));
  await page.getByRole("row", { name: /laptop/ }).click();
  const drawer = page.getByRole("complementary");
  await expect(drawer.getByRole("figure", { name: /^\d+ calls in 30 days/ })).toBeVisible();
  if (process.env.PAGE_SCREENSHOTS) await page.screenshot({ path: `${process.env.PAGE_SCREENSHOTS}/key-drawer.png`, animations: "disabled" });
  await drawer.getByRole("link", { name: "Explain a request" }).click();
  await expect(page.getByLabel("Key", { exact: true })).toHaveValue(/^[0-9a-f-]{36}$/);
});

test.describe("in Indonesian", () => {
  test.use({ locale: "id-ID" });

  test("a phone shows the last four characters of every key whole", async ({ page }) => {
    await signIn(page);
    for (const width of [320, 360]) {
      await page.setViewportSize({ width, height: 800 });
      await page.goto(at("/dashboard/keys"));
      await expect(page.locator("html")).toHaveAttribute("lang", "id");
      const { items } = (await (await page.request.get(at("/api/keys"))).json()) as { items: { label: string; last4: string }[] };
      expect(items.length).toBeGreaterThan(0);
      for (const { label, last4 } of items) {
        const cell = page.getByRole("cell").filter({ hasText: label });
        // The table may be drawn anew between two measurements.
        await expect(async () => {
          const [text, box] = [await cell.getByText(last4, { exact: true }).boundingBox(), await cell.boundingBox()];
          if (!text || !box) throw new Error(`${label}: ${last4} is not drawn`);
          const padding = await cell.evaluate((node) => parseFloat(getComputedStyle(node).paddingRight));
          expect(text.x, label).toBeGreaterThanOrEqual(box.x);
          expect(text.x + text.width, label).toBeLessThanOrEqual(box.x + box.width - padding + 0.5);
        }).toPass({ timeout: 8_000 });
      }
    }
  });
});

test("labels are text, and the list is filtered from the address", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/keys?q=ci-"));
  await expect(page.getByRole("row", { name: /ci-runner/ })).toContainText("Expires in");
  await expect(page.getByRole("row", { name: /laptop/ })).toBeHidden();
  await page.getByLabel("Filter by label").fill("مفتاح");
  await expect(page.getByText("<b>مفتاح</b> 🔑", { exact: true })).toBeVisible();
  await page.getByLabel("Filter by label").fill("nothing");
  await expect(page.getByText("No key matches the filter")).toBeVisible();
});

test("limits, scopes, addresses, expiry and budgets of a key are changed and removed", async ({ page, expected }) => {
  expected.push("422");
  await signIn(page);
  await page.goto(at("/dashboard/keys?create=1"));
  const create = page.getByRole("dialog", { name: "Create key" });
  await create.getByLabel("Label", { exact: true }).fill("edited");
  await create.getByText("More", { exact: true }).click();
  await create.getByLabel("Models", { exact: true }).fill("mock/*");
  await create.getByLabel("Money per month").fill("2.50");
  await create.getByRole("button", { name: "Create key" }).click();
  const secret = page.getByRole("dialog", { name: "Key “edited” is ready" });
  await secret.getByLabel("I have stored the key").check();
  await secret.getByRole("button", { name: "Done" }).click();

  const row = page.getByRole("row", { name: /edited/ });
  const open = async () => {
    await row.getByRole("button", { name: "Actions for edited" }).click();
    await page.getByRole("menuitem", { name: "Edit key" }).click();
    return page.getByRole("dialog", { name: "Edit “edited”" });
  };
  let form = await open();
  await expect(form.getByLabel("Models", { exact: true })).toHaveValue("mock/*");
  await expect(form.getByLabel("Money per month")).toHaveValue("2.5");
  await form.getByLabel("Requests per minute").fill("no");
  await form.getByRole("button", { name: "Save changes" }).click();
  await expect(form.getByText("Enter a whole number from 1")).toBeVisible();
  await form.getByLabel("Requests per minute").fill("30");
  await form.getByLabel("Credits per day").fill("70");
  await form.getByLabel("Models", { exact: true }).fill("");
  await form.getByLabel("Routes").fill("users");
  await form.getByLabel("Addresses and networks").fill("203.0.113.0/24");
  await form.getByLabel("Expires on").fill("2126-01-31");
  await form.getByLabel("Money per month").fill("");
  await form.getByLabel("Tokens per day").fill("100000");
  await form.getByRole("button", { name: "Save changes" }).click();
  await expect(form).toBeHidden();
  await expect(row).toContainText("Routes: users · From 203.0.113.0/24 · 30 requests a minute");
  await expect(row).toContainText("0 / 70");
  await expect(row).toContainText("31 Jan 2126");

  form = await open();
  await expect(form.getByLabel("Money per month")).toHaveValue("");
  await expect(form.getByLabel("Tokens per day")).toHaveValue("100000");
  await form.getByLabel("Addresses and networks").fill("everywhere");
  await form.getByRole("button", { name: "Save changes" }).click();
  await expect(form.getByRole("alert")).toContainText("The change was not made");
  await expect(form.getByLabel("Addresses and networks")).toHaveValue("everywhere");
  await form.getByLabel("Addresses and networks").fill("");
  await form.getByLabel("Routes").fill("");
  await form.getByRole("button", { name: "Save changes" }).click();
  await expect(form).toBeHidden();
  await expect(row).not.toContainText("From");
});

/** An admin sets the price of a plan, and a customer subscribes at it: the dashboard alone, with the stub of Midtrans. */
import { en } from "@/messages/en";

import { fits, isAccessible } from "./looks";
import { expect, test } from "./pages";
import { type Shop, enter, openShop, payInvoice, subscribe } from "./shop";

const t = en.plans;

let shop: Shop;
test.beforeAll(async () => {
  shop = await openShop(["ada"], "root");
});
test.afterAll(() => shop.stop());

const at = (path: string) => `${shop.server.url}/dashboard/${path}`;

test("a price that is set in the dashboard is on the invoice of a customer", async ({ page, expected }) => {
  expected.push("404");
  await enter(page, shop, "root");
  await page.goto(at("plans"));
  const row = page.getByRole("row", { name: /^team/ });
  await expect(row).toContainText("IDR 500,000 per month");
  await row.getByRole("button", { name: t.priceTitle("team") }).click();
  const dialog = page.getByRole("dialog", { name: t.priceTitle("team") });
  await dialog.getByLabel(t.price, { exact: true }).fill("600000");
  await dialog.getByRole("button", { name: t.checkPrice }).click();
  await expect(dialog.getByText("plans[team].price")).toBeVisible();
  await expect(dialog.getByRole("region", { name: t.preview })).toContainText("IDR 666,000");
  await isAccessible(page, { isStrict: true, within: "[role=dialog]" });
  await fits(page, [390, 1280], "price");
  await dialog.getByRole("button", { name: t.applyPrice }).click();
  await expect(dialog).toBeHidden();
  await expect(row).toContainText("IDR 600,000 per month");

  const browser = page.context().browser();
  if (!browser) throw new Error("no browser");
  const customer = await browser.newContext({ locale: "en-GB" });
  const theirs = await customer.newPage();
  await enter(theirs, shop, "ada");
  await theirs.goto(at("billing"));
  await expect(theirs.getByText("IDR 600,000").first()).toBeVisible();
  const invoice = await subscribe(theirs, shop, "team");
  await payInvoice(theirs, shop, invoice);
  await theirs.goto(at(`invoices?id=${invoice}`));
  await expect(theirs.getByRole("complementary").getByText("IDR 666,000").first()).toBeVisible();
  await customer.close();
});

test("a plan is taken from sale and back, and a wrong price is explained", async ({ page }) => {
  await enter(page, shop, "root");
  await page.goto(at("plans?price=business"));
  const dialog = page.getByRole("dialog", { name: t.priceTitle("business") });
  await dialog.getByLabel(t.price, { exact: true }).fill("1.5");
  await dialog.getByRole("button", { name: t.checkPrice }).click();
  await expect(dialog.getByText(t.rupiahWrong)).toBeVisible();
  for (const [price, shown] of [["", t.notForSale], ["15000000", "IDR 15,000,000 per year"]] as const) {
    await page.goto(at("plans?price=business"));
    await dialog.getByLabel(t.price, { exact: true }).fill(price);
    await dialog.getByLabel(t.interval, { exact: true }).selectOption("year");
    await dialog.getByRole("button", { name: t.checkPrice }).click();
    await dialog.getByRole("button", { name: t.applyPrice }).click();
    await expect(dialog).toBeHidden();
    await expect(page.getByRole("row", { name: /^business/ })).toContainText(shown);
  }
});

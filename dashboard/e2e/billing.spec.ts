/** A customer chooses a plan and pays for it. On a server of its own, with the stub of Midtrans. */
import { execFileSync } from "node:child_process";

import type { Page } from "@playwright/test";

import { en } from "@/messages/en";

import { fits, isAccessible, keepPictures, showTheme } from "./looks";
import { expect, test } from "./pages";
import { type Shop, enter, newestPayment, openShop, payInvoice, subscribe } from "./shop";

const USERS = ["qris", "account", "card", "secure", "late", "tabs", "cut", "empty", "looks", "touch", "changes", "topup", "finance"] as const;
const WIDTHS = [360, 768, 1280];
const SHOTS = process.env.SCREENSHOTS !== undefined;

let shop: Shop;
test.beforeAll(async () => {
  shop = await openShop(USERS, "root");
});
test.afterAll(() => shop.stop());

const at = (path: string) => `${shop.server.url}/dashboard/${path}`;

/** Opens the page that pays the first invoice of a user. */
async function openPayment(page: Page, user: (typeof USERS)[number]): Promise<string> {
  await enter(page, shop, user);
  const invoice = await subscribe(page, shop, "pro");
  await page.goto(at(`pay?id=${invoice}`));
  return invoice;
}

function chooses(page: Page, name: string): Promise<void> {
  return page.getByRole("button", { name: new RegExp(`^${name}`) }).click();
}

test("a plan is chosen and paid by QRIS, whose picture a phone can read", async ({ page, expected }) => {
  // A user without a subscription.
  expected.push("404");
  await enter(page, shop, "qris");
  await page.goto(at("billing"));
  await expect(page.getByText(en.billing.none, { exact: true })).toBeVisible();
  await expect(page.getByText("300,000 credits included, then IDR 0.5 per credit up to 1,000,000, then IDR 0.3 per credit")).toBeVisible();
  await page.getByRole("button", { name: en.billing.choose("pro") }).click();
  await page.getByRole("dialog").getByRole("button", { name: en.billing.choose("pro") }).click();
  await expect(page).toHaveURL(/\/dashboard\/pay\?id=/);
  await expect(page.getByRole("row", { name: /PPN 12 %/ })).toContainText("IDR 16,500");
  await expect(page.getByRole("row", { name: /Total/ })).toContainText("IDR 166,500");

  await chooses(page, "QRIS");
  const code = page.getByRole("img", { name: en.pay.qrLabel("IDR 166,500") });
  await expect(code).toBeVisible();
  const invoice = new URL(page.url()).searchParams.get("id") ?? "";
  const payment = await newestPayment(page, shop, invoice);
  for (const colorScheme of ["light", "dark"] as const) {
    await showTheme(page, colorScheme);
    const picture = test.info().outputPath(`qr-${colorScheme}.png`);
    await code.screenshot({ path: picture });
    expect(execFileSync("zbarimg", ["--quiet", "--nodbus", "--raw", picture], { encoding: "utf8" }).trim()).toBe(payment.qr_text);
  }
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: en.pay.savePicture }).click();
  const saved = await (await download).path();
  expect(execFileSync("zbarimg", ["--quiet", "--nodbus", "--raw", saved], { encoding: "utf8" }).trim()).toBe(payment.qr_text);

  await shop.play(`pay/${payment.order_id}`);
  await expect(page.getByRole("heading", { name: /Invoice INV-\d+-\d+ is paid/ })).toBeVisible();
  await page.getByRole("link", { name: en.invoices.toBilling }).click();
  await expect(page.getByText(en.billing.states.active ?? "", { exact: true })).toBeVisible();
  await expect(page.getByText(en.billing.current, { exact: true })).toBeVisible();
  await page.getByRole("link", { name: en.billing.allInvoices }).click();
  await page.getByRole("row", { name: /INV-.*Paid/ }).click();
  const drawer = page.getByRole("complementary", { name: /INV-/ });
  await expect(drawer.getByRole("row", { name: /PPN 12 %.*on IDR 137,500/ })).toBeVisible();
  await expect(drawer.getByText(payment.order_id)).toHaveCount(1);
  await expect(drawer.locator("dl")).toContainText(en.invoices.paidOn);
  await expect(drawer.locator("dl")).toContainText("QRIS · IDR 166,500");
});

test("an account number is shown with its amount, and its payment is followed", async ({ page }) => {
  const invoice = await openPayment(page, "account");
  await chooses(page, "Mandiri");
  await expect(page.getByText(en.pay.billerCode, { exact: true })).toBeVisible();
  await page.getByRole("button", { name: en.pay.other }).click();
  await expect(page.getByText(en.pay.another)).toBeVisible();
  await chooses(page, "BCA");
  await expect(page.getByRole("heading", { name: "Virtual account · BCA" })).toBeVisible();
  const payment = await newestPayment(page, shop, invoice);
  const number = page.locator(".account dd").first();
  expect((await number.textContent())?.replaceAll(" ", "")).toBe(payment.va?.number);
  await expect(page.getByRole("timer")).toContainText(/left$/);
  await page.reload();
  await expect(page.getByRole("heading", { name: "Virtual account · BCA" })).toBeVisible();
  await shop.play(`pay/${payment.order_id}`);
  await expect(page.getByRole("heading", { name: /is paid/ })).toBeVisible();
});

test("a refused card is reported, and another attempt is paid", async ({ page }) => {
  await openPayment(page, "card");
  await chooses(page, "Card");
  const opened = page.waitForEvent("popup");
  await page.getByRole("link", { name: en.pay.openCard }).click();
  const provider = await opened;
  await provider.getByRole("button", { name: "Deny" }).click();
  await expect(page.getByText(en.pay.ended.refused ?? "")).toBeVisible();
  await provider.close();
  await chooses(page, "Card");
  const again = page.waitForEvent("popup");
  await page.getByRole("link", { name: en.pay.openCard }).click();
  await (await again).getByRole("button", { name: "Pay", exact: true }).click();
  await expect(page.getByRole("heading", { name: /is paid/ })).toBeVisible();
});

test("a card is paid after 3-D Secure, and denied with a wrong password", async ({ page }) => {
  await openPayment(page, "secure");
  for (const [password, isRight] of [["000000", false], ["112233", true]] as const) {
    await chooses(page, "Card");
    const opened = page.waitForEvent("popup");
    await page.getByRole("link", { name: en.pay.openCard }).click();
    const provider = await opened;
    await provider.getByRole("button", { name: "Pay with 3-D Secure" }).click();
    await provider.getByLabel("Password").fill(password);
    await provider.getByRole("button", { name: "Confirm" }).click();
    if (isRight) await expect(page.getByRole("heading", { name: /is paid/ })).toBeVisible();
    else await expect(page.getByText(en.pay.ended.refused ?? "")).toBeVisible();
    await provider.close();
  }
});

test("an expired code is reported, and a new one pays", async ({ page }) => {
  const invoice = await openPayment(page, "late");
  await chooses(page, "QRIS");
  await expect(page.getByRole("img", { name: /QR code/ })).toBeVisible();
  await shop.play(`expire/${(await newestPayment(page, shop, invoice)).order_id}`);
  await expect(page.getByText(en.pay.ended.expired ?? "")).toBeVisible();
  await chooses(page, "QRIS");
  await expect(page.getByRole("img", { name: /QR code/ })).toBeVisible();
  await shop.play(`pay/${(await newestPayment(page, shop, invoice)).order_id}`);
  await expect(page.getByRole("heading", { name: /is paid/ })).toBeVisible();
});

test("two tabs that pay one invoice show the same code, and both end", async ({ page, context }) => {
  const invoice = await openPayment(page, "tabs");
  const other = await context.newPage();
  await other.goto(page.url());
  await expect(other.getByText(en.pay.choose)).toBeVisible();
  await Promise.all([chooses(page, "QRIS"), chooses(other, "QRIS")]);
  await expect(page.getByRole("img", { name: /QR code/ })).toBeVisible();
  await expect(other.getByRole("img", { name: /QR code/ })).toBeVisible();
  const listed = await page.request.get(`${shop.server.url}/api/invoices/${invoice}`);
  expect(((await listed.json()) as { payments: unknown[] }).payments).toHaveLength(1);
  await other.getByRole("button", { name: en.pay.other }).click();
  await chooses(other, "BNI");
  await expect(other.getByText(en.pay.accountNumber, { exact: true })).toBeVisible();
  const { order_id: second } = await newestPayment(page, shop, invoice);
  await shop.play(`pay/${second}`);
  for (const tab of [page, other]) await expect(tab.getByRole("heading", { name: /is paid/ })).toBeVisible();
});

test("with the network cut the code stays, and the payment is noticed afterwards", async ({ page, expected }) => {
  expected.push("ERR_FAILED", "Failed to load resource");
  const invoice = await openPayment(page, "cut");
  await chooses(page, "QRIS");
  const code = page.getByRole("img", { name: /QR code/ });
  await expect(code).toBeVisible();
  const { order_id: order } = await newestPayment(page, shop, invoice);
  await page.route("**/api/**", (route) => route.abort());
  await expect(page.getByText("The figures may be old")).toBeVisible({ timeout: 30_000 });
  await expect(code).toBeVisible();
  await shop.play(`pay/${order}`);
  await page.unroute("**/api/**");
  await expect(page.getByRole("heading", { name: /is paid/ })).toBeVisible();
});

test("a plan is changed up and down, and a subscription is cancelled and resumed", async ({ page }) => {
  await enter(page, shop, "changes");
  await payInvoice(page, shop, await subscribe(page, shop, "pro"));
  await page.goto(at("billing"));
  await page.getByRole("button", { name: en.billing.changeTo("team") }).click();
  const dialog = page.getByRole("dialog", { name: en.billing.changeTo("team") });
  await expect(dialog.getByRole("row", { name: /pro.*-IDR 150,000/ })).toBeVisible();
  await dialog.getByRole("button", { name: en.billing.changeTo("team") }).click();
  await expect(page).toHaveURL(/\/dashboard\/pay\?id=/);
  // 350,000 rupiah with the tax.
  await expect(page.getByRole("row", { name: /Total.*388,500/ })).toBeVisible();
  await payInvoice(page, shop, new URL(page.url()).searchParams.get("id") ?? "");
  await expect(page.getByRole("heading", { name: /is paid/ })).toBeVisible();
  await page.getByRole("link", { name: en.invoices.toBilling }).click();
  await expect(page.locator("li[aria-current]").getByRole("heading", { name: "team" })).toBeVisible();

  await page.getByRole("button", { name: en.billing.changeTo("pro") }).click();
  await page.getByRole("dialog").getByRole("button", { name: en.billing.changeTo("pro") }).click();
  await expect(page.getByText(/^Begins on/)).toBeVisible();
  await page.getByRole("button", { name: en.billing.keep("team") }).click();
  await page.getByRole("dialog").getByRole("button", { name: en.billing.keep("team") }).click();
  await expect(page.getByText(/^Begins on/)).toBeHidden();

  await page.getByRole("button", { name: en.billing.cancel }).click();
  await page.getByRole("dialog").getByRole("button", { name: en.billing.cancel }).click();
  await expect(page.getByText(/^The subscription ends on/)).toBeVisible();
  await page.getByRole("button", { name: en.billing.resume }).click();
  await expect(page.getByText(/^The subscription ends on/)).toBeHidden();
});

test("a wallet is topped up by an account number", async ({ page, expected }) => {
  expected.push("404");
  await enter(page, shop, "topup");
  await page.goto(at("billing"));
  await page.getByRole("button", { name: en.billing.topUp }).click();
  await page.getByRole("dialog").getByLabel(en.billing.amount).fill("250000");
  await page.keyboard.press("Enter");
  await expect(page).toHaveURL(/topup=250000/);
  await chooses(page, "BRI");
  await expect(page).toHaveURL(/payment=/);
  await expect(page.getByText(en.pay.accountNumber, { exact: true })).toBeVisible();
  const id = new URL(page.url()).searchParams.get("payment") ?? "";
  const { order_id: order } = (await (await page.request.get(`${shop.server.url}/api/payments/${id}`)).json()) as { order_id: string };
  await shop.play(`pay/${order}`);
  await expect(page.getByRole("heading", { name: en.pay.toppedUp("IDR 250,000") })).toBeVisible();
  await page.getByRole("link", { name: en.invoices.toBilling }).click();
  await expect(page.getByRole("row", { name: /Payment received.*IDR 250,000/ })).toBeVisible();
});

test("finance credits a paid invoice, and refunds the amount", async ({ page, browser, expected }) => {
  expected.push("404");
  const customer = await (await browser.newContext()).newPage();
  await enter(customer, shop, "finance");
  await payInvoice(customer, shop, await subscribe(customer, shop, "pro"));
  await enter(page, shop, "root");
  await page.goto(at("billing-admin"));
  await page.getByRole("row", { name: /^finance INV-.*Paid/ }).click();
  const drawer = page.getByRole("complementary", { name: /INV-/ });
  await drawer.getByRole("button", { name: en.billingAdmin.tasks.credit }).click();
  const credit = page.getByRole("dialog", { name: en.billingAdmin.tasks.credit });
  await credit.getByLabel(en.billing.amount).fill("50000");
  await credit.getByLabel(en.billingAdmin.reason).fill("outage");
  await credit.getByRole("button", { name: en.billingAdmin.tasks.credit }).click();
  await expect(credit).toBeHidden();
  // With the tax in proportion.
  await expect(drawer.getByText("IDR 55,500")).toBeVisible();
  await drawer.getByRole("button", { name: en.billingAdmin.tasks.refund }).click();
  const refund = page.getByRole("dialog", { name: en.billingAdmin.tasks.refund });
  await refund.getByLabel(en.billing.amount).fill("55500");
  await refund.getByLabel(en.billingAdmin.reason, { exact: true }).fill("outage");
  await refund.getByRole("button", { name: en.billingAdmin.tasks.refund }).click();
  await expect(refund).toBeHidden();
  await expect(drawer.getByText(en.pay.states.partly_refunded ?? "")).toBeVisible();
  await customer.context().close();
});

test("each page says that there is nothing yet, and that the server failed", async ({ page, expected }) => {
  expected.push("404", "500");
  await enter(page, shop, "empty");
  await page.goto(at("invoices"));
  await expect(page.getByText(en.invoices.none, { exact: true })).toBeVisible();
  await page.goto(at("pay"));
  await expect(page.getByText(en.pay.noInvoice, { exact: true })).toBeVisible();
  await page.goto(at("pay?id=0199aa00-0000-7000-8000-000000000002"));
  await expect(page.getByText(en.invoices.missing, { exact: true })).toBeVisible();
  await page.route(/\/api\/(invoices|subscription|plans)/, (route) => route.fulfill({ status: 500, json: { error: { code: "internal", message: "broken", status: 500 } } }));
  for (const path of ["billing", "invoices", "pay?id=0199aa00-0000-7000-8000-000000000002"]) {
    await page.goto(at(path));
    await expect(page.getByText("The server failed (500)").first()).toBeVisible();
    await expect(page.getByRole("button", { name: "Try again" }).first()).toBeVisible();
  }
});

/** The pages with data, of a user with an open invoice. */
async function pagesWithData(page: Page, user: (typeof USERS)[number]): Promise<[string, string][]> {
  const invoice = await openPayment(page, user);
  await chooses(page, "QRIS");
  await expect(page.getByRole("img", { name: /QR code/ })).toBeVisible();
  await expect(page).toHaveURL(/payment=/);
  const qris = new URL(page.url()).search;
  await page.getByRole("button", { name: en.pay.other }).click();
  await chooses(page, "BCA");
  await expect(page.getByText(en.pay.accountNumber, { exact: true })).toBeVisible();
  await expect(page).not.toHaveURL(/choose=/);
  const account = new URL(page.url()).search;
  return [["billing", "billing"], ["invoices", "invoices"], ["invoice", `invoices?id=${invoice}`], ["pay-choose", `pay?id=${invoice}&choose=1`], ["pay-qris", `pay${qris}`], ["pay-account", `pay${account}`]];
}

test("the pages have no accessibility problem, in both themes, and fit a phone", async ({ page }) => {
  test.setTimeout(120_000);
  for (const [name, path] of await pagesWithData(page, "looks")) {
    await page.goto(at(path));
    await expect(page.getByText(/INV-\d+-\d+/).first()).toBeVisible();
    await isAccessible(page, { name, isStrict: true });
    await fits(page, WIDTHS, name);
    if (SHOTS) await keepPictures(page, `screenshots/${name}`, WIDTHS);
  }
});

test.describe("on a touch screen", () => {
  test.use({ hasTouch: true, isMobile: true, viewport: { width: 390, height: 844 } });
  test("targets are at least 44 px", async ({ page }) => {
    for (const [name, path] of await pagesWithData(page, "touch")) {
      await page.goto(at(path));
      await expect(page.getByText(/INV-\d+-\d+/).first()).toBeVisible();
      const small = await page.evaluate(() => {
        const targets = [...document.querySelectorAll<HTMLElement>("main :is(button, a.btn, tr[tabindex]), aside :is(button, a.btn)")];
        return targets.filter((target) => target.checkVisibility({ visibilityProperty: true }) && target.closest("p.t2") === null).flatMap((target) => {
          const { width, height } = target.getBoundingClientRect();
          return width < 2 || (width >= 43.5 && height >= 43.5) ? [] : [`${Math.round(width)}x${Math.round(height)} ${target.outerHTML.slice(0, 120)}`];
        });
      });
      expect(small, name).toEqual([]);
    }
  });
});

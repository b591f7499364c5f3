/** Finance adds a webhook, which receives the events of an invoice. On a server of its own, with a receiver. */
import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";

import type { Page } from "@playwright/test";

import { en } from "@/messages/en";

import { fits, isAccessible, keepPictures } from "./looks";
import { expect, test } from "./pages";
import { type Shop, enter, openShop, subscribe } from "./shop";

const t = en.webhooks;

let shop: Shop;
let receiver: Server;
/** The status of the receiver's responses, and the bodies that it received. */
let status = 204;
const received: { event: string; id: string; signature: string }[] = [];

test.beforeAll(async () => {
  shop = await openShop(["ada", "bob", "eve"], "root");
  receiver = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const { type } = JSON.parse(Buffer.concat(parts).toString()) as { type: string };
      received.push({ event: type, id: String(request.headers["webhook-id"]), signature: String(request.headers["webhook-signature"]) });
      response.writeHead(status).end();
    });
  });
  await new Promise<void>((listening) => receiver.listen(0, "127.0.0.1", listening));
});
test.afterAll(async () => {
  await new Promise((closed) => receiver.close(closed));
  await shop.stop();
});

const at = (path: string) => `${shop.server.url}/dashboard/${path}`;
const hook = () => `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;

/** Adds a webhook by the form; returns its secret. */
async function add(page: Page): Promise<string> {
  await page.getByRole("button", { name: t.add }).first().click();
  const dialog = page.getByRole("dialog", { name: t.add });
  await dialog.getByLabel(t.url).fill(hook());
  await dialog.getByLabel(t.all, { exact: true }).uncheck();
  await dialog.getByLabel(t.groups.invoice).check();
  await dialog.getByRole("button", { name: t.add }).click();
  const secret = (await page.getByTestId("secret").textContent()) ?? "";
  await page.getByRole("checkbox", { name: t.stored }).check();
  await page.getByRole("button", { name: en.keys.done }).click();
  return secret;
}

/** Removes all webhooks. */
async function clear(page: Page): Promise<void> {
  const listed = await page.request.get(`${shop.server.url}/api/webhooks`);
  const { items } = (await listed.json()) as { items: { id: string }[] };
  for (const { id } of items) await page.request.delete(`${shop.server.url}/api/webhooks/${id}`, { headers: { Origin: shop.server.url } });
}

/** Subscribes a user in another browser. */
async function sell(page: Page, user: string): Promise<void> {
  const customer = await page.context().browser()?.newContext();
  if (!customer) throw new Error("no browser");
  const other = await customer.newPage();
  await enter(other, shop, user);
  await subscribe(other, shop, "pro");
  await customer.close();
}

test("a webhook is added, receives events, and is edited, rotated and deleted", async ({ page, expected }) => {
  expected.push("422");
  status = 204;
  await enter(page, shop, "root");
  await page.goto(at("webhooks"));
  await expect(page.getByText(t.none, { exact: true })).toBeVisible();
  await page.getByRole("button", { name: t.add }).first().click();
  const refused = page.getByRole("dialog", { name: t.add });
  await refused.getByLabel(t.url).fill("http://169.254.169.254/latest");
  await refused.getByRole("button", { name: t.add }).click();
  await expect(refused.getByRole("alert").first()).toBeVisible();
  await page.keyboard.press("Escape");
  const secret = await add(page);
  expect(secret).toMatch(/^whsec_/);

  await sell(page, "ada");
  const drawer = page.getByRole("complementary", { name: /127\.0\.0\.1/ });
  await expect(drawer.getByText("invoice.opened", { exact: true })).toBeVisible({ timeout: 30_000 });
  await expect.poll(() => received.map(({ event }) => event), { timeout: 30_000 }).toContain("invoice.opened");
  const opened = drawer.getByRole("listitem").filter({ hasText: "invoice.opened" });
  await expect(opened.getByText(t.states.delivered ?? "", { exact: true })).toBeVisible({ timeout: 30_000 });
  const before = received.length;
  await drawer.getByRole("button", { name: /^Send again: invoice\.opened/ }).click();
  await expect.poll(() => received.length, { timeout: 30_000 }).toBeGreaterThan(before);
  expect(received.at(-1)?.id).toBe(received[0]?.id);

  await drawer.getByRole("button", { name: t.tasks.edit }).click();
  const edit = page.getByRole("dialog", { name: t.edit });
  await edit.getByText(t.single).click();
  await edit.getByLabel("payment.failed").check();
  await edit.getByRole("button", { name: t.save }).click();
  await expect(page.getByRole("row", { name: /invoice\.\*, payment\.failed/ })).toBeVisible();

  await drawer.getByRole("button", { name: t.tasks.rotate }).click();
  await page.getByRole("dialog", { name: t.tasks.rotate }).getByRole("button", { name: t.tasks.rotate }).click();
  const rotated = (await page.getByTestId("secret").textContent()) ?? "";
  expect(rotated).toMatch(/^whsec_/);
  expect(rotated).not.toBe(secret);
  await page.getByRole("checkbox", { name: t.stored }).check();
  await page.getByRole("button", { name: en.keys.done }).click();

  await drawer.getByRole("button", { name: t.tasks.disable }).click();
  await page.getByRole("dialog", { name: t.tasks.disable }).getByRole("button", { name: t.tasks.disable }).click();
  await expect(drawer.getByText(t.disabledTitle)).toBeVisible();
  await drawer.getByRole("button", { name: t.tasks.enable }).click();
  await expect(drawer.getByText(t.disabledTitle)).toBeHidden();
  await drawer.getByRole("button", { name: t.tasks.delete }).click();
  await page.getByRole("dialog", { name: t.tasks.delete }).getByRole("button", { name: t.tasks.delete }).click();
  await expect(page.getByText(t.none, { exact: true })).toBeVisible();
});

test("a test event is sent to one webhook, and its response is shown", async ({ page }) => {
  await enter(page, shop, "root");
  await clear(page);
  status = 204;
  await page.goto(at("webhooks"));
  await add(page);
  const drawer = page.getByRole("complementary", { name: /127\.0\.0\.1/ });
  await drawer.getByRole("button", { name: t.sendTest }).click();
  const sent = drawer.getByRole("listitem").filter({ hasText: "webhook.test" });
  await expect(sent.getByText(t.states.delivered ?? "", { exact: true })).toBeVisible({ timeout: 30_000 });
  expect(received.at(-1)?.event).toBe("webhook.test");
  status = 500;
  await drawer.getByRole("button", { name: t.sendTest }).click();
  await expect(sent.first().getByText(t.states.failed ?? "", { exact: true })).toBeVisible({ timeout: 30_000 });
  await expect(drawer.getByText(t.disabledTitle)).toBeHidden();
  status = 204;
});

test("a failed delivery says why", async ({ page }) => {
  await enter(page, shop, "root");
  await clear(page);
  status = 500;
  await page.goto(at("webhooks"));
  await add(page);
  await sell(page, "bob");
  const drawer = page.getByRole("complementary", { name: /127\.0\.0\.1/ });
  await expect(drawer.getByText(/500/).first()).toBeVisible({ timeout: 30_000 });
  await expect(drawer.getByRole("listitem").getByText(t.states.waiting ?? "", { exact: true }).first()).toBeVisible();
  status = 204;
});

test("the page has no accessibility problem, in both themes, and fits a phone", async ({ page }) => {
  await enter(page, shop, "root");
  await clear(page);
  await page.goto(at("webhooks"));
  await add(page);
  await sell(page, "eve");
  const drawer = page.getByRole("complementary", { name: /127\.0\.0\.1/ });
  await expect(drawer.getByText(t.states.delivered ?? "", { exact: true }).last()).toBeVisible({ timeout: 30_000 });
  const open = new URL(page.url()).search;
  for (const [name, path] of [["webhooks", "webhooks"], ["webhook", `webhooks${open}`], ["webhook-add", "webhooks?create=1"]] as const) {
    await page.goto(at(path));
    await expect(page.getByText(hook()).first()).toBeVisible();
    if (name === "webhook") await expect(page.getByText("invoice.opened").first()).toBeVisible();
    if (name === "webhook-add") await expect(page.getByRole("dialog")).toBeVisible();
    await isAccessible(page, { name, isStrict: true });
    await fits(page, [360, 768, 1280], name);
    if (process.env.PAGE_SCREENSHOTS) await keepPictures(page, `${process.env.PAGE_SCREENSHOTS}/${name}`, [360, 768, 1280]);
  }
});

test.describe("on a touch screen", () => {
  test.use({ hasTouch: true, isMobile: true, viewport: { width: 390, height: 844 } });
  test("targets are at least 44 px", async ({ page }) => {
    await enter(page, shop, "root");
    await clear(page);
    await page.goto(at("webhooks"));
    await add(page);
    await expect(page.getByText(t.noDeliveries)).toBeVisible();
    const small = await page.evaluate(() => {
      const targets = [...document.querySelectorAll<HTMLElement>("main :is(button, a.btn, tr[tabindex]), aside :is(button, a.btn, summary)")];
      return targets.filter((target) => target.checkVisibility({ visibilityProperty: true })).flatMap((target) => {
        const { width, height } = target.getBoundingClientRect();
        return width < 2 || (width >= 43.5 && height >= 43.5) ? [] : [`${Math.round(width)}x${Math.round(height)} ${target.outerHTML.slice(0, 120)}`];
      });
    });
    expect(small).toEqual([]);
  });
});

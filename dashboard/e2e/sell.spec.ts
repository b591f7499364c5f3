/** An admin sells a first plan from the setup, and buys it as a customer: the dashboard alone, with the stub, and no restart. */
import { en } from "@/messages/en";

import { fits, isAccessible, keepPictures } from "./looks";
import { expect, test } from "./pages";
import { PASSWORD, type Server, createUser, json, startServer } from "./server";

const EMAIL = "root@example.com";
const CONFIGURATION = `control: {rate_limits: []}
providers:
  - {name: mock, kind: mock}
models:
  - {name: mock, targets: [{provider: mock, model: mock}]}
`;
const t = en.plans;

let server: Server;
test.beforeAll(async () => {
  server = await startServer(CONFIGURATION, (data) => createUser(EMAIL, "Root", ["--admin", ...data]));
});
test.afterAll(() => server.stop());

test("a first plan is sold from the setup without leaving the dashboard", async ({ page, expected }) => {
  // An admin without a subscription.
  expected.push("404");
  const signedIn = await page.request.post(`${server.url}/api/auth/login`, { data: { email: EMAIL, password: PASSWORD } });
  const { access_token: token } = (await signedIn.json()) as { access_token: string };
  const { key } = await json(`${server.url}/api/keys`, token, { label: "first" });
  await json(`${server.proxyUrl}/v1/chat/completions`, String(key), { model: "mock", messages: [{ role: "user", content: "Hello" }] });

  await page.goto(`${server.url}/dashboard/setup`);
  await page.getByLabel(t.billing.name, { exact: true }).fill("PT Contoh");
  await page.getByText(t.billingMore).click();
  await page.getByLabel(t.billing.taxName, { exact: true }).fill("PPN");
  await page.getByLabel(t.billing.taxRate, { exact: true }).fill("12%");
  await page.getByLabel(t.billing.taxBase, { exact: true }).fill("11/12");
  await page.getByLabel(t.billing.taxFrom, { exact: true }).fill("2025-01-01");
  await isAccessible(page, { name: "sell" });
  await fits(page, [360, 1280], "sell");
  if (process.env.SETUP_SCREENSHOTS) await keepPictures(page, `${process.env.SETUP_SCREENSHOTS}/setup-sell`, [360, 1280]);
  const preview = await page.getByRole("link", { name: t.previewInvoice }).getAttribute("href");
  const sample = await (await page.request.get(new URL(preview ?? "", server.url).href)).text();
  expect(sample).toContain("PT Contoh");
  expect(sample).toContain("PPN 12%");
  await page.getByRole("button", { name: t.turnOn }).click();

  await page.getByRole("button", { name: t.priceTitle("pro") }).click();
  const dialog = page.getByRole("dialog", { name: t.priceTitle("pro") });
  await dialog.getByLabel(t.price, { exact: true }).fill("150000");
  await dialog.getByRole("button", { name: t.checkPrice }).click();
  await dialog.getByRole("button", { name: t.applyPrice }).click();
  await expect(dialog).toBeHidden();
  await page.getByRole("link", { name: en.setup.trySubscription }).click();

  await page.getByRole("button", { name: en.billing.choose("pro") }).click();
  await page.getByRole("dialog").getByRole("button", { name: en.billing.choose("pro") }).click();
  await expect(page.getByRole("row", { name: /Total/ })).toContainText("IDR 166,500");
  await page.getByRole("button", { name: /^QRIS/ }).click();
  await page.getByRole("button", { name: en.pay.payByStub }).click();
  await expect(page.getByRole("heading", { name: /Invoice INV-\d+-000001 is paid/ })).toBeVisible();
  await page.getByRole("link", { name: en.invoices.toBilling }).click();
  await expect(page.getByText(en.billing.states.active ?? "", { exact: true })).toBeVisible();

  // What customers have paid for is not turned off by a click.
  await page.goto(`${server.url}/dashboard/billing-admin`);
  expected.push("409");
  await page.getByRole("button", { name: t.turnOff }).click();
  await expect(page.getByText(/billing_needed/)).toBeVisible();
});

import { at, expect, test } from "./pages";
import { EMAIL, PASSWORD } from "./server";

test("a password signs in, and the reader returns to the page that was asked for", async ({ page, expected }) => {
  expected.push("401");
  await page.goto(at("/dashboard/keys?show=all"));
  await expect(page).toHaveURL(/\/dashboard\/login\?next=/);
  await page.getByLabel("Email", { exact: true }).fill(EMAIL);
  await page.getByLabel("Password", { exact: true }).fill("wrong");
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert").first()).toContainText("The email or the password is wrong");
  await expect(page.getByLabel("Email", { exact: true })).toHaveValue(EMAIL);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page).toHaveURL(at("/dashboard/keys?show=all"));
  await expect(page.getByText("Ada Example")).toBeVisible();
  await page.getByRole("button", { name: "Sign out" }).click();
  await expect(page.getByRole("heading", { name: "Sign in" })).toBeVisible();
});

test("a key signs in", async ({ page, expected }) => {
  expected.push("401");
  await page.goto(at("/dashboard/login"));
  await page.getByRole("tab", { name: "API key" }).click();
  await page.getByRole("textbox", { name: "API key" }).fill(process.env.SEEDED_KEY ?? "");
  await page.getByRole("button", { name: "Sign in with key" }).click();
  await expect(page.getByRole("heading", { name: "Overview", level: 1 })).toBeVisible();
  await expect(page.getByText("Plan starter · member")).toBeVisible();
});

test("without a network, and with too many attempts, the page says so and keeps the input", async ({ page, expected }) => {
  expected.push("401", "429", "ERR_INTERNET_DISCONNECTED", "ERR_FAILED");
  await page.goto(at("/dashboard/login"));
  await page.getByLabel("Email", { exact: true }).fill(EMAIL);
  await page.getByLabel("Password", { exact: true }).fill("x");
  await page.context().setOffline(true);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert").first()).toContainText("The server does not respond");
  await page.context().setOffline(false);
  await page.route("**/api/auth/login", (route) =>
    route.fulfill({
      status: 429,
      headers: { "Retry-After": "702" },
      json: { error: { code: "rate_limited", message: "too many attempts", status: 429 } },
    }),
  );
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("alert").first()).toContainText(/Too many attempts.*11:4\d/s);
  await expect(page.getByLabel("Password", { exact: true })).toHaveValue("x");
});

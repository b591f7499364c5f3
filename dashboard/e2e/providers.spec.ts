import { at, expect, signIn, test } from "./pages";

const SECRET = "sk-proj-000000000000WXYZ";

test("a credential is added, tested, replaced, renamed and deleted, and never shown", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/providers"));
  await expect(page.getByRole("alert").filter({ hasText: "openai has no credential" })).toBeVisible();
  await page.getByRole("alert").getByRole("button", { name: "Add credential" }).click();
  await expect(page).toHaveURL(/add=openai/);
  const form = page.getByRole("dialog", { name: "Add credential" });
  await form.getByRole("button", { name: "Add credential" }).click();
  await expect(form.getByText("Enter a label")).toBeVisible();
  await form.getByLabel("Label").fill("team");
  await expect(form.getByLabel("Secret")).toHaveAttribute("type", "password");
  await form.getByLabel("Secret").fill(SECRET);
  await form.getByRole("button", { name: "Add credential" }).click();
  await expect(form).toBeHidden();

  const row = page.getByRole("row", { name: /openai team/ });
  await expect(row).toContainText("…WXYZ");
  // Nobody listens at the address of this provider.
  await expect(row.getByRole("status")).toContainText("no response from the provider");
  await expect(page.getByText("openai has no credential")).toBeHidden();
  expect(await page.content()).not.toContain(SECRET);

  await row.getByRole("button", { name: /Actions for openai/ }).click();
  await page.getByRole("menuitem", { name: "Replace secret" }).click();
  await page.getByRole("dialog").getByLabel("Secret").fill("sk-proj-000000000000ABCD");
  await page.getByRole("dialog").getByRole("button", { name: "Replace secret" }).click();
  await expect(row).toContainText("…ABCD");

  await row.getByRole("button", { name: /Actions for openai/ }).click();
  await page.getByRole("menuitem", { name: "Rename" }).click();
  await page.getByRole("dialog").getByLabel("Label").fill("finance");
  await page.getByRole("button", { name: "Save name" }).click();
  const renamed = page.getByRole("row", { name: /openai finance/ });
  await expect(renamed).toBeVisible();

  await renamed.getByRole("button", { name: /Actions for openai/ }).click();
  await page.getByRole("menuitem", { name: "Delete credential" }).click();
  const confirm = page.getByRole("dialog", { name: "Delete openai “finance”?" });
  await expect(confirm.getByText("It is the only one for openai")).toBeVisible();
  await confirm.getByRole("button", { name: "Delete credential" }).click();
  await expect(renamed).toBeHidden();
  await expect(page.getByText("openai has no credential")).toBeVisible();
});

test("a credential that the provider accepts is reported as accepted", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/providers?add=mock"));
  const form = page.getByRole("dialog", { name: "Add credential" });
  await form.getByLabel("Label").fill("works");
  await form.getByLabel("Secret").fill(SECRET);
  await form.getByLabel("Who may use it").selectOption("own");
  await form.getByRole("button", { name: "Add credential" }).click();
  const row = page.getByRole("row", { name: /mock works/ });
  await expect(row.getByRole("status")).toContainText(/Accepted in/);
  await expect(row).toContainText("Only me");
  await row.getByRole("button", { name: /Actions for mock/ }).click();
  await page.getByRole("menuitem", { name: "Delete credential" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete credential" }).click();
  await expect(row).toBeHidden();
});

test("a member sees own credentials and no addresses of providers, and shares nothing", async ({ page }) => {
  // The session of a key has the rights of a member.
  await page.request.post(at("/api/auth/login"), { data: { key: process.env.SEEDED_KEY } });
  await page.goto(at("/dashboard/providers"));
  await expect(page.getByRole("row", { name: /mock/ }).first()).toBeVisible();
  await expect(page.getByText("127.0.0.1")).toBeHidden();
  await page.getByRole("button", { name: "Add credential" }).last().click();
  const form = page.getByRole("dialog", { name: "Add credential" });
  await expect(form.getByLabel("Secret")).toBeVisible();
  await expect(form.getByLabel("Who may use it")).toBeHidden();
  await page.goto(at("/dashboard/keys?create=1"));
  await expect(page.getByRole("dialog").getByLabel("Credits per day")).toBeVisible();
  await expect(page.getByRole("dialog").getByLabel("Money per month")).toBeHidden();
});

test("with the network cut the form keeps the secret and says why", async ({ page, expected }) => {
  expected.push("ERR_FAILED");
  await signIn(page);
  await page.goto(at("/dashboard/providers?add=mock"));
  const form = page.getByRole("dialog", { name: "Add credential" });
  await form.getByLabel("Label").fill("kept");
  await form.getByLabel("Secret").fill(SECRET);
  await page.route("**/api/provider-keys", (route) => route.abort());
  await form.getByRole("button", { name: "Add credential" }).click();
  await expect(form.getByRole("alert")).toContainText("The server does not respond");
  await expect(form.getByLabel("Secret")).toHaveValue(SECRET);
});

test("models are found by name, and open with all of their prices", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/models"));
  await expect(page.getByRole("row", { name: /fast/ })).toContainText("No credential");
  await page.getByLabel("Filter by name or provider").fill("mock");
  await expect(page).toHaveURL(/q=mock/);
  await expect(page.getByRole("row", { name: /fast/ })).toBeHidden();
  await page.getByRole("row", { name: /mock/ }).first().click();
  const drawer = page.getByRole("complementary", { name: "mock" });
  await expect(drawer.getByRole("row", { name: /Cache write, long/ })).toContainText("$2.00");
  await expect(drawer.getByRole("row", { name: /1,000 web searches/ })).toContainText("$10.00");
  await page.keyboard.press("Escape");
  await expect(drawer).toBeHidden();
  await page.getByLabel("Filter by name or provider").fill("nothing");
  await expect(page.getByText("No model matches the filter")).toBeVisible();
});

for (const [path, name, request] of [["/dashboard/models", "Models", "models"], ["/dashboard/providers", "Providers", "providers"]] as const) {
  test(`${path} says that the server failed, and tries again`, async ({ page, expected }) => {
    expected.push("500");
    await signIn(page);
    await page.route(`**/api/${request}`, (route) => route.fulfill({ status: 500, json: { error: { code: "internal", message: "broken", status: 500 } } }));
    await page.goto(at(path));
    await expect(page.getByText("The server failed (500)")).toBeVisible();
    await page.unroute(`**/api/${request}`);
    await page.getByRole("button", { name: "Try again" }).click();
    await expect(page.getByRole("table", { name }).first()).toBeVisible();
  });
}

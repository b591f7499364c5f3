/** Users, plans, budgets and the audit log, against the seeded server. */

import { isAccessible } from "./looks";
import { at, expect, signIn, test } from "./pages";
import { json } from "./server";

/** The access token of the session that the setup began. */
function accessToken(): string | undefined {
  return (JSON.parse(process.env.SESSION_COOKIES ?? "[]") as string[]).map((cookie) => cookie.split("=")[1] ?? "").find((value) => value.split(".").length === 3);
}

test("a user is created, gets a link, is changed, suspended and activated", async ({ page, expected }) => {
  expected.push("409");
  await signIn(page);
  await page.goto(at("/dashboard/users"));
  await page.getByRole("button", { name: "Create user" }).click();
  const form = page.getByRole("dialog", { name: "Create user" });
  await form.getByRole("button", { name: "Create user" }).click();
  await expect(form.getByText("Enter your name")).toBeVisible();
  await form.getByLabel("Name").fill("Bob <b>Example</b>");
  await form.getByLabel("Email").fill("bob@example.com");
  await form.getByLabel("Plan").selectOption("starter");
  await form.getByRole("button", { name: "Create user" }).click();
  const issued = page.getByRole("dialog", { name: /can choose a password/ });
  await expect(issued.getByTestId("link")).toHaveText(/\/link#tgl_[A-Za-z0-9_-]{43}$/);
  await page.keyboard.press("Escape");
  await expect(issued).toBeVisible();
  await issued.getByLabel("I have copied the link").check();
  await issued.getByRole("button", { name: "Done" }).click();

  await page.getByRole("button", { name: "Create user" }).click();
  await form.getByLabel("Name").fill("Bob again");
  await form.getByLabel("Email").fill("bob@example.com");
  await form.getByLabel("Plan").selectOption("starter");
  await form.getByRole("button", { name: "Create user" }).click();
  await expect(form.getByRole("alert")).toBeVisible();
  await expect(form.getByLabel("Name")).toHaveValue("Bob again");
  await form.getByRole("button", { name: "Cancel" }).click();

  await page.getByLabel("Search by name or email").fill("bob@example.com");
  const row = page.getByRole("row", { name: /Bob <b>Example<\/b>/ });
  await row.getByText("bob@example.com").click();
  const drawer = page.getByRole("complementary", { name: /Bob/ });
  await expect(drawer.getByRole("heading", { name: "Quota and budgets" })).toBeVisible();
  await expect(drawer.getByRole("meter").first()).toBeVisible();
  await expect(drawer.getByText("No keys")).toBeVisible();
  await drawer.getByRole("button", { name: "Edit user" }).click();
  const edit = page.getByRole("dialog", { name: /Edit/ });
  await edit.getByLabel("Role").selectOption("admin");
  await edit.getByRole("button", { name: "Save changes" }).click();
  await expect(row).toContainText("admin");
  await drawer.getByRole("button", { name: "Suspend user" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Suspend user" }).click();
  await expect(row).toContainText("Suspended");
  await page.keyboard.press("Escape");
  await expect(drawer).toBeHidden();
  await row.getByRole("button", { name: /Actions/ }).click();
  await page.getByRole("menuitem", { name: "Activate user" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Activate user" }).click();
  await expect(row).toContainText("Active");
  for (const [item, button] of [["Create password link", "Create password link"], ["End sessions", "End sessions"]] as const) {
    await row.getByRole("button", { name: /Actions/ }).click();
    await page.getByRole("menuitem", { name: item }).click();
    await page.getByRole("dialog").getByRole("button", { name: button }).click();
    if (item === "End sessions") continue;
    await page.getByLabel("I have copied the link").check();
    await page.getByRole("button", { name: "Done" }).click();
  }
  await expect(page.getByRole("dialog")).toBeHidden();
});

test("the overview shows all users, leads to one of them, and to the requests that failed", async ({ page }) => {
  const token = accessToken();
  const user = await json(at("/api/users"), token, { name: "Dora", email: "dora@example.com", plan: "starter" });
  const id = String((user.user as { id: string } | undefined)?.id ?? user.id);
  const key = await json(at("/api/keys"), token, { label: "dora-laptop", user_id: id });
  for (const model of ["mock/echo", "mock/500", "mock/no-such"]) {
    const headers = { "Content-Type": "application/json", Authorization: `Bearer ${String(key.key)}` };
    const body = JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] });
    await fetch(`${process.env.PROXY_URL ?? ""}/v1/chat/completions`, { method: "POST", headers, body }).then((response) => response.text());
  }
  await signIn(page);
  await page.goto(at("/dashboard/overview"));
  await expect(page.getByLabel("Usage of")).toHaveValue("all");
  const users = page.getByRole("region", { name: "Users this month" });
  await expect(users.getByRole("link", { name: "Ada Example" })).toBeVisible();
  await users.getByRole("link", { name: "Dora" }).click();
  await expect(page).toHaveURL(new RegExp(`scope=user(:|%3A)${id}`));
  await expect(page.getByRole("row", { name: /dora-laptop/ }).first()).toBeVisible();
  await expect(page.getByText("Finish the setup")).toBeHidden();

  await page.goto(at("/dashboard/usage?range=24h&by=user"));
  const table = page.getByRole("table", { name: "by user" });
  await expect(table.getByRole("row", { name: /Dora/ })).toBeVisible();
  await table.getByRole("link", { name: "Dora" }).click();
  const requests = page.getByRole("table", { name: "Requests" });
  await page.getByRole("group", { name: "Result" }).getByRole("button", { name: "Failed" }).click();
  await expect(requests.getByRole("row", { name: /mock\/500/ })).toHaveCount(1);
  await expect(requests.getByRole("row", { name: /mock\/echo/ })).toBeHidden();
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download CSV" }).last().click();
  expect((await download).suggestedFilename()).toBe("requests.csv");

  await page.goto(at("/dashboard/users"));
  await expect(page.getByRole("row", { name: /Dora/ }).getByRole("link")).toHaveAttribute("href", `/dashboard/overview?scope=user:${id}`);
  await page.goto(at("/dashboard/plans"));
  await expect(page.getByRole("row", { name: /starter/ }).getByRole("link")).toHaveAttribute("href", "/dashboard/overview?scope=plan:starter");
});

test("a closed server offers the setting in place of an invitation", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/users?show=invites&new=invite"));
  await expect(page.getByText("Invitations do not work, because registration is closed (signup: closed)")).toBeVisible();
  await expect(page.getByRole("dialog")).toBeHidden();
  await expect(page.getByRole("button", { name: "Invite user" })).toBeHidden();
  await page.getByRole("link", { name: "Allow invitations" }).first().click();
  await expect(page.getByText("Invitations need signup: invite")).toBeVisible();
});

test("a plan is created and its limits are changed", async ({ page, expected }) => {
  expected.push("409");
  await signIn(page);
  await page.goto(at("/dashboard/plans"));
  await page.getByRole("button", { name: "Create plan" }).click();
  const form = page.getByRole("dialog", { name: "Create plan" });
  await form.getByLabel("Name").fill("starter");
  await form.getByLabel("Credits per day").fill("500");
  await form.getByLabel("Spend per month").fill("12,50");
  await form.getByRole("button", { name: "Create plan" }).click();
  await expect(form.getByText("Enter an amount such as 12.50")).toBeVisible();
  await form.getByLabel("Spend per month").fill("12.50");
  await form.getByRole("button", { name: "Create plan" }).click();
  await expect(form.getByRole("alert")).toBeVisible();
  await form.getByLabel("Name").fill("team");
  await form.getByRole("button", { name: "Create plan" }).click();
  const row = page.getByRole("row", { name: /team/ });
  await expect(row).toContainText("500");
  await expect(row).toContainText("$12.50 a month");
  await row.getByRole("button", { name: "Edit plan “team”" }).click();
  const edit = page.getByRole("dialog", { name: "Edit plan “team”" });
  await edit.getByLabel("Credits per day").fill("");
  await edit.getByLabel("Spend per month").fill("");
  await edit.getByLabel("Tokens per day").fill("1000000");
  await edit.getByRole("button", { name: "Save limits" }).click();
  await expect(row).toContainText("1,000,000 tokens a day");
  await expect(row).not.toContainText("500");
});

test("a budget is set, changed and removed", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/budgets"));
  const own = page.getByRole("row", { name: /ada@example.com/ });
  await expect(own).toContainText("$5.00");
  await expect(own.getByRole("meter")).toBeVisible();
  await page.getByRole("button", { name: "Set budget" }).click();
  const form = page.getByRole("dialog", { name: "Set budget" });
  await form.getByLabel("Email of the user").fill("nobody@example.com");
  await form.getByLabel("Amount").fill("7");
  await expect(form.getByText("No user has this address")).toBeVisible();
  await form.getByLabel("Applies to").selectOption("global");
  await form.getByLabel("Measure").selectOption("tokens");
  await form.getByLabel("Period").selectOption("day");
  await form.getByRole("button", { name: "Set budget" }).click();
  const row = page.getByRole("row", { name: /All users together/ });
  await expect(row).toContainText("Tokens per day");
  await row.getByRole("button", { name: /Actions/ }).click();
  await page.getByRole("menuitem", { name: "Change amount" }).click();
  const change = page.getByRole("dialog", { name: /Change the budget/ });
  await change.getByLabel("Tokens per day").fill("900000000");
  await change.getByRole("button", { name: "Save amount" }).click();
  await expect(row).toContainText("900.0 M");
  await row.getByRole("button", { name: /Actions/ }).click();
  await page.getByRole("menuitem", { name: "Remove budget" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Remove budget" }).click();
  await expect(row).toBeHidden();

  await page.getByRole("button", { name: "Set budget" }).click();
  await form.getByLabel("Applies to").selectOption("key");
  await form.getByLabel("Email of the user").fill("ada@example.com");
  await form.getByLabel("Key", { exact: true }).selectOption({ index: 1 });
  await form.getByLabel("Amount").fill("3.25");
  await form.getByRole("button", { name: "Set budget" }).click();
  await expect(page.getByRole("row", { name: /\$3\.25/ })).toBeVisible();
});

test("the audit log names who did what, filters and opens an entry", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/audit"));
  await page.getByLabel("Action", { exact: true }).selectOption("budget.change");
  await expect(page).toHaveURL(/action=budget.change/);
  const row = page.getByRole("row", { name: /Budget changed/ }).first();
  await expect(row).toContainText("Ada Example");
  await row.click();
  const drawer = page.getByRole("complementary", { name: "Budget changed" });
  await expect(drawer.getByText("Applies to")).toBeVisible();
  await expect(drawer.getByText("127.0.0.1")).toBeVisible();
  await page.keyboard.press("Escape");
  await expect(row).toBeFocused();
  await page.getByLabel("Action", { exact: true }).selectOption("totals.repair");
  await expect(page.getByText("No change matches the filters")).toBeVisible();
  await page.getByRole("button", { name: "Clear filter" }).click();
  await expect(page.getByRole("row", { name: /Signed in/ }).first()).toBeVisible();
});

test("the audit log shows the old value beside the new one", async ({ page }) => {
  const budget = at("/api/budgets/global/-/tokens/day");
  for (const tokens of [900_000_001, 900_000_002]) await json(budget, accessToken(), { tokens }, "PUT");
  await signIn(page);
  await page.goto(at("/dashboard/audit?action=budget.change"));
  const row = page.getByRole("row", { name: /900000001 tokens → 900000002 tokens/ });
  await row.click();
  const drawer = page.getByRole("complementary", { name: "Budget changed" });
  await expect(drawer.getByRole("definition").filter({ hasText: "900000001 tokens → 900000002 tokens" })).toBeVisible();
  await page.request.delete(budget, { headers: { Authorization: `Bearer ${accessToken()}` } });
});

test("long names leave the change and the address in the audit log", async ({ page }) => {
  const long = "A very long name ".repeat(8).trim();
  const created = await json(at("/api/users"), accessToken(), { email: "long@example.com", name: long, plan: "starter" });
  await json(at(`/api/users/${(created.user as { id: string }).id}`), accessToken(), { name: `${long} too` }, "PATCH");
  await signIn(page);
  await page.goto(at("/dashboard/audit"));
  await expect(page.getByRole("row", { name: new RegExp(long) }).first()).toBeVisible();
  await expect(page.getByRole("columnheader", { name: "Address" })).toBeInViewport({ ratio: 1 });
  const change = page.getByRole("columnheader", { name: "Values" });
  await expect.poll(async () => (await change.boundingBox())?.width ?? 0).toBeGreaterThan(120);
  const table = page.locator(".tw", { has: page.getByRole("table", { name: "Audit log" }) });
  await expect.poll(() => table.evaluate((box) => box.scrollWidth - box.clientWidth)).toBeLessThanOrEqual(0);
});

test("the key of a pasted command is explained, and the address explains it again without the key", async ({ page }) => {
  const key = process.env.SEEDED_KEY ?? "";
  await signIn(page);
  await page.goto(at("/dashboard/explain"));
  await page.getByLabel("Header fields").fill(`Authorization: Bearer ${key}`);
  await page.getByLabel("Method").fill("POST");
  await page.getByLabel("URL").fill("/v1/chat/completions");
  await page.getByRole("button", { name: "Explain request" }).click();
  await expect(page.getByText(/As the key laptop …\w{4} of Ada Example/)).toBeVisible();
  await expect(page).toHaveURL(/key=[0-9a-f-]{36}/);
  expect(page.url()).not.toContain(key);
  await page.reload();
  await expect(page.getByText(/As the key laptop/)).toBeVisible();
});

test("a request's drawer leads to its explanation", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/usage?scope=me"));
  await page.getByRole("table", { name: "Requests" }).getByRole("row", { name: /mock\/echo/ }).first().click();
  await page.getByRole("link", { name: "Explain this request" }).click();
  await expect(page).toHaveURL(/\/dashboard\/explain\?/);
  await expect(page.getByText(/As the key laptop/)).toBeVisible();
});

test("dialogs and drawers have no serious accessibility problem, in both themes", async ({ page }) => {
  test.setTimeout(60_000);
  await signIn(page);
  const me = (await (await page.request.get(at("/api/me"))).json()) as { user: { id: string } };
  const paths = ["users?new=user", `users?id=${me.user.id}`, "plans?new=1", "plans?edit=starter", "budgets?set=key"];
  for (const path of paths) {
    await page.goto(at(`/dashboard/${path}`));
    await expect(page.getByRole("dialog").or(page.getByRole("complementary"))).toBeVisible();
    await page.waitForLoadState("networkidle");
    await isAccessible(page, { name: path });
  }
});

test("a session of a key sees no administration", async ({ page }) => {
  const url = at("");
  const response = await fetch(`${url}/api/auth/login`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ key: process.env.SEEDED_KEY }),
  });
  await page.context().addCookies(
    response.headers.getSetCookie().map((cookie) => {
      const [name = "", value = ""] = (cookie.split(";")[0] ?? "").split("=", 2);
      return { name, value, url };
    }),
  );
  for (const name of ["users", "plans", "budgets", "audit", "configuration", "limits", "explain"]) {
    await page.goto(at(`/dashboard/${name}`));
    await expect(page.getByText("This page is for admins")).toBeVisible();
  }
  await expect(page.getByRole("link", { name: "Audit log" })).toBeHidden();
  await page.goto(at("/dashboard/account"));
  await expect(page.getByText("This session began with a key")).toBeVisible();
});

test("a long list draws at most 50 rows, and the pages fail in words without the network", async ({ page, expected }) => {
  expected.push("ERR_FAILED", "Failed to load resource");
  const token = accessToken();
  for (let at_ = 0; at_ < 60; at_ += 1) {
    await json(at("/api/users"), token, { email: `user-${at_}@example.com`, name: `User ${at_}`, plan: "starter" });
  }
  await signIn(page);
  await page.goto(at("/dashboard/users"));
  await expect(page.getByRole("row", { name: /User 1 / })).toBeVisible();
  expect(await page.getByRole("row").count()).toBeLessThanOrEqual(50);
  for (const name of ["users", "plans", "budgets", "audit"]) {
    await page.route(`**/api/${name}*`, (route) => route.abort());
    await page.goto(at(`/dashboard/${name}`));
    await expect(page.getByRole("alert").getByText("The server does not respond")).toBeVisible({ timeout: 15_000 });
    await page.unroute(`**/api/${name}*`);
    await page.getByRole("button", { name: "Try again" }).click();
    await expect(page.getByRole("table").first()).toBeVisible();
  }
});

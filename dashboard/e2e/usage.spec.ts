import { readFileSync } from "node:fs";

import { at, expect, signIn, test } from "./pages";

test("usage is shown by model, key and route; range, step and measure are in the address", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/usage?range=14d"));
  const models = page.getByRole("table", { name: "by model" });
  await expect(models.getByRole("row", { name: /mock\/tokens-400 / })).toContainText("834");
  await expect(models.getByRole("row", { name: /mock\/500/ })).toContainText("100.00 %");
  await expect(page.getByRole("figure", { name: /^Spend per day by model: \$/ })).toBeVisible();

  await page.getByRole("group", { name: "Group by" }).getByRole("button", { name: "Key" }).click();
  await page.getByRole("group", { name: "Measure" }).getByRole("button", { name: "Failed" }).click();
  await expect(page).toHaveURL(/by=key.*measure=errors|measure=errors.*by=key/);
  await expect(page.getByText("Not part of daily totals of keys")).toBeVisible();
  await page.getByRole("button", { name: "Show 7 days by hour" }).click();
  await expect(page).toHaveURL(/range=7d.*step=hour|step=hour.*range=7d/);
  await expect(page.getByRole("figure", { name: /^Failed per hour by key/ })).toBeVisible();
  await expect(page.getByRole("table", { name: "by key" }).getByRole("row", { name: /^laptop/ })).toBeVisible();

  await page.reload();
  await expect(page.getByRole("figure", { name: /^Failed per hour by key/ })).toBeVisible();
  await page.getByRole("group", { name: "Range" }).getByRole("button", { name: "1 hour" }).click();
  await page.getByRole("group", { name: "Group by" }).getByRole("button", { name: "Route" }).click();
  await page.getByRole("group", { name: "Measure" }).getByRole("button", { name: "Latency" }).click();
  await expect(page.getByRole("figure", { name: "Latency per minute by route" })).toBeVisible();
  await page.getByRole("button", { name: "View as table" }).click();
  await expect(page.getByRole("table", { name: "Latency per minute by route" })).toBeVisible();
});

test("a model of the table filters the requests", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/usage"));
  await page.getByRole("button", { name: "mock/echo" }).click();
  await expect(page).toHaveURL(/model=mock%2Fecho/);
  const requests = page.getByRole("table", { name: "Requests" });
  await expect(requests.getByRole("row", { name: /mock\/echo/ }).first()).toBeVisible();
  await expect(requests.getByRole("row", { name: /mock\/500/ })).toBeHidden();
});

test("the series is downloaded as the server writes it", async ({ page, expected }) => {
  await signIn(page);
  await page.goto(at("/dashboard/usage?range=24h&by=key"));
  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download CSV" }).first().click();
  const file = await download;
  expect(file.suggestedFilename()).toBe("usage-by-key-24h-per-hour.csv");
  const lines = readFileSync(await file.path(), "utf8").split("\r\n");
  expect(lines[0]).toMatch(/^at,name,key_id,/);
  // Hours without requests have no rows; the requests of the set-up may be in two hours.
  expect([1, 2]).toContain(lines.filter((line) => line.includes(",laptop,")).length);

  expected.push("ERR_FAILED");
  await page.route("**/api/usage/series?**format=csv**", (route) => route.abort());
  await page.getByRole("button", { name: "Download CSV" }).first().click();
  await expect(page.getByRole("alert").first()).toContainText("The table was not downloaded");
});

test("the overview shows requests, errors and latency over time", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/overview?range=24h"));
  await expect(page.getByRole("figure", { name: /^Requests per hour: \d+/ })).toBeVisible();
  await expect(page.getByText("Succeeded", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: /^Failed \d/ }).click();
  await expect(page).toHaveURL(/measure=errors/);
  await expect(page.getByRole("figure", { name: /^Failed per hour/ })).toBeVisible();
  await page.getByRole("button", { name: /^Latency/ }).click();
  await expect(page.getByText("p95", { exact: true })).toBeVisible();
  await page.getByRole("button", { name: "14 days" }).click();
  await expect(page.getByRole("figure", { name: "Latency per day", exact: true })).toBeVisible();
});

test("a series that cannot be read says so, and the requests are shown all the same", async ({ page, expected }) => {
  expected.push("500");
  await signIn(page);
  await page.route("**/api/usage/series**", (route) => route.fulfill({ status: 500, body: "<html>broken</html>", contentType: "text/html" }));
  await page.goto(at("/dashboard/usage"));
  await expect(page.getByText("The server failed (500)")).toBeVisible();
  await expect(page.getByRole("table", { name: "Requests" }).getByRole("row").nth(1)).toBeVisible();
  await page.unroute("**/api/usage/series**");
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("table", { name: "by model" })).toBeVisible();
});

test("requests are found by their time: a bar, a preset and bounds; a view keeps them", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/usage?range=14d"));
  const chart = page.getByRole("figure", { name: /^Spend per day by model/ });
  // The bar of today is the last one.
  await chart.locator(".recharts-bar-rectangle path").last().click();
  await expect(page).toHaveURL(/since=\d{4}-\d\d-\d\dT00%3A00%3A00\.000Z&until=/);
  const requests = page.getByRole("table", { name: "Requests" });
  await expect(requests.getByRole("row").nth(1)).toBeVisible();
  await page.getByRole("combobox", { name: "Time" }).selectOption("Yesterday");
  await expect(page).toHaveURL(/when=yesterday/);
  await expect(page.getByText("No request matches the filters")).toBeVisible();
  await page.getByRole("combobox", { name: "Time" }).selectOption("Last hour");
  await page.getByRole("textbox", { name: "Name, error code, or /path" }).fill("mock/500");
  await expect(requests.getByRole("row", { name: /mock\/echo/ })).toHaveCount(0);
  await expect(requests.getByRole("row", { name: /mock\/500/ }).first()).toBeVisible();
  await page.getByRole("button", { name: "Views" }).click();
  await page.getByRole("menuitem", { name: "Save view" }).click();
  await page.getByRole("textbox", { name: "Name", exact: true }).fill("Failures of the last hour");
  await page.getByRole("dialog").getByRole("button", { name: "Save view" }).click();
  await page.goto(at("/dashboard/usage"));
  await page.getByRole("button", { name: "Views" }).click();
  await page.getByRole("menuitem", { name: "Failures of the last hour" }).click();
  await expect(page).toHaveURL(/q=mock%2F500.*when=1h/);
});

test("a bar of the overview leads to its requests", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/overview?range=14d"));
  const chart = page.getByRole("figure", { name: /^Requests per day/ });
  await chart.locator(".recharts-bar-rectangle path").last().click();
  await expect(page).toHaveURL(/dashboard\/usage\?since=.*&until=.*&scope=all/);
  await expect(page.getByRole("table", { name: "Requests" }).getByRole("row").nth(1)).toBeVisible();
});

import { at, expect, signIn, test } from "./pages";

test("a key is pasted, a model responds in a stream, and its cost is shown", async ({ page, expected }) => {
  // The record of a call may not exist yet when it is read first.
  expected.push("404");
  const key = process.env.SEEDED_KEY ?? "";
  const addresses: string[] = [];
  page.on("request", (request) => addresses.push(request.url()));
  await signIn(page);
  await page.goto(at("/dashboard/playground?model=mock/tokens-40-5"));
  await page.getByLabel("Key", { exact: true }).fill(key);
  await page.getByLabel("Message").fill("Hello");
  for (const format of ["OpenAI chat", "OpenAI responses", "Anthropic messages", "Google generateContent"]) {
    await page.getByLabel("Format").selectOption({ label: format });
    await page.keyboard.press("Tab");
    await page.getByRole("button", { name: "Send message" }).click();
    const receipt = page.getByRole("region", { name: "This response" });
    await expect(receipt.getByRole("status")).toHaveText("Completed");
    await expect(receipt.getByRole("link", { name: "Timeline and attempts" })).toBeVisible();
    await expect(receipt.getByRole("cell", { name: "Output" }).locator("+ td")).toHaveText("40");
    await expect(receipt).not.toContainText("Cost–");
    await page.getByRole("button", { name: "Clear" }).click();
  }
  const stored = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage, location.href, document.cookie]));
  expect(stored + addresses.join(" ")).not.toContain(key);
});

for (const host of ["localhost", "127.0.0.1"]) {
  test(`with the default configuration, the page at ${host} may call the gateway`, async ({ page, expected }) => {
    expected.push("404");
    const url = at("").replace("127.0.0.1", host);
    await signIn(page, url);
    await page.goto(`${url}/dashboard/playground?model=mock/tokens-40-5`);
    await page.getByLabel("Key", { exact: true }).fill(process.env.SEEDED_KEY ?? "");
    await page.getByLabel("Message").fill("Hello");
    await expect(page.getByText("This page may not call the gateway")).toBeHidden();
    await page.getByRole("button", { name: "Send message" }).click();
    await expect(page.getByRole("region", { name: "This response" }).getByRole("status")).toHaveText("Completed");
  });
}

test("a response is stopped, and refusals are explained", async ({ page, expected }) => {
  expected.push("401", "500", "404");
  await signIn(page);
  await page.goto(at("/dashboard/playground?model=mock/tokens-4000-20"));
  await page.getByRole("button", { name: "Create a key for this page" }).click();
  await expect(page.getByText(/A new key, …[0-9a-f]{4}, is used/)).toBeVisible();
  await page.getByLabel("Message").fill("Hello");
  await page.getByLabel("Message").press("Control+Enter");
  const receipt = page.getByRole("region", { name: "This response" });
  await expect(receipt.getByRole("status")).toHaveText("Streaming");
  await page.getByRole("button", { name: "Stop" }).click();
  await expect(receipt.getByRole("status")).toHaveText("Stopped");

  await page.getByLabel("Model").fill("mock/500");
  await page.getByRole("button", { name: "Send message" }).click();
  await expect(page.getByText("The call failed with status 500")).toBeVisible();
  await page.getByLabel("Key", { exact: true }).fill(`tollgate_${"0".repeat(32)}`);
  await page.getByRole("button", { name: "Send message" }).click();
  await expect(page.getByText("The call failed with status 401")).toBeVisible();
  await expect(page.getByLabel("Message")).toHaveValue("Hello");
});

test("the call is shown as code", async ({ page }) => {
  await signIn(page);
  await page.goto(at("/dashboard/playground?model=mock&format=messages"));
  await page.getByLabel("Message").fill("It's a test");
  await page.getByRole("tab", { name: "Code" }).click();
  await expect(page.getByText("/v1/messages' \\")).toBeVisible();
  await page.getByRole("tab", { name: "Anthropic SDK" }).click();
  await expect(page.getByText("client.messages.stream(")).toBeVisible();
});

/** The page of providers shows which targets of a model fail, and until when they are left out. */
import { en } from "@/messages/en";

import { expect, test } from "./pages";
import { EMAIL, PASSWORD, createUser, run, startServer } from "./server";

const CONFIGURATION = `control: {rate_limits: []}
providers:
  - {name: down, kind: openai, base_url: "http://127.0.0.1:9/v1", credential: sk-none}
  - {name: mock, kind: mock}
models:
  - name: smart
    targets: [{provider: down, model: gpt-6}, {provider: mock, model: mock}]
    cooldown: {failures: 3}
`;

test("a target that fails is left out, and the page says until when and why", async ({ page, expected }) => {
  expected.push("401");
  let key = "";
  const server = await startServer(CONFIGURATION, (data) => {
    createUser(EMAIL, "Ada Example", ["--admin", ...data]);
    key = run(["keys", "create", "--user", EMAIL, ...data]).trim().split("\n").at(-1) ?? "";
  });
  await page.goto(`${server.url}/dashboard/login?next=/dashboard/providers`);
  await page.getByLabel("Email", { exact: true }).fill(EMAIL);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: en.signIn.submit, exact: true }).click();
  await expect(page.getByRole("heading", { name: en.providers.credentials, exact: true })).toBeVisible();
  await expect(page.getByRole("heading", { name: en.providers.targets })).toHaveCount(0);
  for (let call = 0; call < 4; call++) {
    const body = JSON.stringify({ model: "smart", messages: [{ role: "user", content: "Hello" }] });
    const headers = { "Content-Type": "application/json", Authorization: `Bearer ${key}` };
    const response = await fetch(`${server.proxyUrl}/v1/chat/completions`, { method: "POST", headers, body });
    expect([response.status, response.headers.get("x-tollgate-attempts")]).toEqual([200, call < 3 ? "2" : "1"]);
    await response.text();
  }
  await page.reload();
  const table = page.getByRole("table", { name: en.providers.targets });
  const down = table.getByRole("row").filter({ hasText: "gpt-6" });
  await expect(down).toContainText("Left out until");
  await expect(down).toContainText(en.providers.cause("connect", "3"));
  const used = table.getByRole("row").filter({ hasText: en.providers.inUseNow });
  await expect(used.getByRole("cell").nth(2)).toHaveText("4");
  await page.setViewportSize({ width: 1280, height: 900 });
  if (process.env.SHOT) await page.screenshot({ path: process.env.SHOT, fullPage: true });
  await server.stop();
});

/** The pages of upstreams and routes follow a backend that fails and comes back, without a reload. */
import { type Server as Backend, createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { en } from "@/messages/en";

import { expect, test } from "./pages";
import { EMAIL, PASSWORD, type Server, createUser, startServer } from "./server";

async function startBackend(port = 0): Promise<{ port: number; stop(): Promise<void> }> {
  const backend: Backend = createServer((_, response) => response.end("fine"));
  await new Promise<void>((resolve) => backend.listen(port, "127.0.0.1", resolve));
  const stop = () =>
    new Promise<void>((resolve) => {
      backend.close(() => resolve());
      backend.closeAllConnections();
    });
  return { port: (backend.address() as AddressInfo).port, stop };
}

test("the pages of upstreams and routes follow a backend that fails and comes back", async ({ page, expected }) => {
  expected.push("401");
  const [first, second] = [await startBackend(), await startBackend()];
  const configuration = `control: {rate_limits: []}
ai: {enabled: false}
upstreams:
  - name: shop
    backends: [{url: "http://127.0.0.1:${first.port}"}, {url: "http://127.0.0.1:${second.port}"}]
    health_check: {path: /, interval: 1s, timeout: 1s, healthy_threshold: 1, unhealthy_threshold: 1}
    retry: {attempts: 1, on: [connect, reset]}
routes: [{name: shop, path: {prefix: /shop}, upstreams: shop, auth: {type: none}}]
`;
  const server: Server = await startServer(configuration, (data) => createUser(EMAIL, "Ada Example", ["--admin", ...data]));
  let isDone = false;
  const load = (async () => {
    while (!isDone) {
      await fetch(`${server.proxyUrl}/shop`).then((response) => response.text());
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  })();
  await page.goto(`${server.url}/dashboard/login?next=/dashboard/upstreams`);
  await page.getByLabel("Email", { exact: true }).fill(EMAIL);
  await page.getByLabel("Password", { exact: true }).fill(PASSWORD);
  await page.getByRole("button", { name: en.signIn.submit, exact: true }).click();
  const row = (port: number) => page.getByRole("row").filter({ hasText: `:${port}` });
  await expect(page.getByText(en.upstreams.available("2", "2"))).toBeVisible();
  await expect(row(second.port).getByRole("cell").nth(3)).toHaveText(/^[1-9]/);

  await second.stop();
  await expect(row(second.port)).toContainText(en.upstreams.states.unhealthy);
  await expect(row(first.port)).toContainText(en.upstreams.states.available);
  await expect(row(second.port).getByRole("cell").nth(3)).toHaveText("0");
  await page.getByRole("navigation", { name: en.frame.main }).first().getByRole("link", { name: en.frame.routes, exact: true }).click();
  await expect(page.getByText(en.upstreams.available("1", "2"))).toBeVisible();
  await expect(page.getByRole("row").filter({ hasText: "shop" }).getByRole("cell").nth(2)).toHaveText(/^[1-9]/);

  const again = await startBackend(second.port);
  await expect(page.getByText(en.upstreams.available("2", "2"))).toBeVisible();
  isDone = true;
  await load;
  // The page asks the server until it is left.
  await page.goto("about:blank");
  await server.stop();
  await Promise.all([first.stop(), again.stop()]);
});

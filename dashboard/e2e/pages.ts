import { type Page, test as base } from "@playwright/test";

import { startSeeded } from "./server";

export { expect } from "@playwright/test";

/** The address of the started server. */
export function at(path: string): string {
  return `${process.env.DASHBOARD_URL ?? ""}${path}`;
}

/** Gives the page the session that the setup began, at another name of the server if one is given. */
export async function signIn(page: Page, url = at("")): Promise<void> {
  const cookies = JSON.parse(process.env.SESSION_COOKIES ?? "[]") as string[];
  await page.context().addCookies(
    cookies.map((cookie) => {
      const [name = "", value = ""] = cookie.split("=", 2);
      return { name, value, url };
    }),
  );
}

/** A test that fails if the page logs an error, such as a violation of the Content-Security-Policy. */
export const test = base.extend<{ expected: string[] }, { server: undefined }>({
  server: [
    async ({}, use) => {
      const stop = await startSeeded();
      await use(undefined);
      await stop();
    },
    { scope: "worker", auto: true, timeout: 120_000 },
  ],
  expected: async ({}, use) => use([]),
  page: async ({ page, expected }, use) => {
    const errors: string[] = [];
    page.on("console", (message) => {
      if (message.type() === "error") errors.push(`${message.text()} ${message.location().url}`);
    });
    page.on("pageerror", (error) => errors.push(String(error)));
    await use(page);
    const unexpected = errors.filter((error) => !expected.some((part) => error.includes(part)));
    if (unexpected.length > 0) throw new Error(`the page logged errors:\n${unexpected.join("\n")}`);
  },
});

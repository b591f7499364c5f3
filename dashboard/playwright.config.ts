import { existsSync } from "node:fs";

import { defineConfig } from "@playwright/test";

/** Debian's Chromium without a window; with --font-render-hinting=none it draws text as the complete browser does. Playwright's own download is not needed. A page takes 40% of the processor time of the complete browser, which preloads its own pages for each context. */
const SHELL = "/usr/bin/chromium-headless-shell";
const executablePath = process.env.CHROMIUM ?? (existsSync(SHELL) ? SHELL : "/usr/bin/chromium");
const FLAGS = ["--font-render-hinting=none", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export default defineConfig({
  testDir: "./e2e",
  // Each worker has a server of its own, and a file of tests stays in one worker.
  workers: 3,
  timeout: 60_000,
  expect: { timeout: 16_000 },
  forbidOnly: true,
  reporter: "list",
  outputDir: "./test-results",
  snapshotPathTemplate: "../docs/screenshots/{arg}{ext}",
  // Screenshots show the seeded data alone: workers, and so servers, are not shared between projects.
  projects: [{ name: "screenshots", testMatch: "screenshots.spec.ts" }, { name: "pages", testIgnore: "screenshots.spec.ts" }],
  use: {
    browserName: "chromium",
    headless: true,
    locale: "en-GB",
    timezoneId: "Asia/Jakarta",
    viewport: { width: 1280, height: 800 },
    launchOptions: { executablePath, args: FLAGS },
  },
});

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import type { NextConfig } from "next";

/** What becomes part of the pages, and the files that decide how. */
const SOURCE_FOLDERS = ["app", "components", "features", "generated", "lib", "messages", "public", "styles"];
const SOURCE_FILES = ["next.config.ts", "package-lock.json"];

/** A hash of the sources in place of a random id, so that two builds of them are the same bytes. */
function sourcesId(): string {
  const entries = SOURCE_FOLDERS.flatMap((folder) =>
    readdirSync(join(import.meta.dirname, folder), { withFileTypes: true, recursive: true }),
  );
  const inFolders = entries.filter((entry) => entry.isFile()).map((entry) => relative(import.meta.dirname, join(entry.parentPath, entry.name)));
  const hash = createHash("sha256");
  for (const path of [...inFolders, ...SOURCE_FILES].sort()) {
    hash.update(`${path}\0`).update(readFileSync(join(import.meta.dirname, path)));
  }
  return hash.digest("hex").slice(0, 20);
}

const config: NextConfig = {
  output: "export",
  // All files but the two public pages are served below /dashboard.
  assetPrefix: "/dashboard",
  reactStrictMode: true,
  poweredByHeader: false,
  devIndicators: false,
  // `make dashboard-beside` has just checked them.
  typescript: { ignoreBuildErrors: process.env.TYPES === "checked" },
  generateBuildId: sourcesId,
  turbopack: { root: import.meta.dirname },
};

export default config;

// Compresses the exported files ahead of time and lists them for the binary: path, media type, hash, whether it is
// compressed, and the CSP hashes of inline scripts. A page with an inline style fails, because the policy forbids it.
import { createHash } from "node:crypto";
import { cpSync, existsSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { extname, join, relative, sep } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const root = join(import.meta.dirname, "..");
const out = join(root, "out");
const manifest = join(out, "manifest.tsv");
const embedding = join(root, "..", "crates", "dashboard", "build.rs");

const MEDIA_TYPES = {
  ".html": "text/html; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
};
const TEXT = new Set([".html", ".txt", ".js", ".css", ".json", ".svg"]);
/** The maximum size of the compressed scripts of a page. */
const SCRIPT_BYTES_MAX = 250_000;
/** Pages that Next writes twice. */
const DOUBLE = /^_not-found(\/|\.)/;

function files(folder) {
  return readdirSync(folder, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** The CSP hashes of a page's inline scripts. Data blocks are not scripts. */
function scripts(path, html) {
  if (/<[^>]+\sstyle=/.test(html.replaceAll(/<script[\s\S]*?<\/script>/g, "")) || /<style[\s>]/.test(html)) {
    throw new Error(`${path} has an inline style, which the Content-Security-Policy forbids`);
  }
  const found = [...html.matchAll(/<script(?![^>]*\ssrc=)([^>]*)>([\s\S]*?)<\/script>/g)];
  const hashes = found.filter(([, attributes]) => !attributes.includes("application/json")).map(([, , text]) => {
    return `sha256-${createHash("sha256").update(text).digest("base64")}`;
  });
  return [...new Set(hashes)];
}

/** The fonts at addresses without a hash, for the API reference, which is no page of Next. */
for (const font of ["geist", "geist-mono"]) {
  cpSync(join(root, "node_modules", `@fontsource-variable/${font}/files/${font}-latin-wght-normal.woff2`), join(out, "dashboard", "fonts", `${font}.woff2`));
}

const lines = [];
for (const file of files(out)) {
  const path = relative(out, file).split(sep).join("/");
  const extension = extname(path);
  if (file === manifest || [".br", ".gz", ".map"].includes(extension) || DOUBLE.test(path)) continue;
  const type = MEDIA_TYPES[extension];
  if (!type) throw new Error(`${path} has no media type in scripts/compress.mjs`);
  const content = readFileSync(file);
  const hash = createHash("sha256").update(content).digest("hex").slice(0, 20);
  const hashes = extension === ".html" ? scripts(path, content.toString()) : [];
  const isText = TEXT.has(extension);
  if (isText) {
    writeFileSync(`${file}.br`, brotliCompressSync(content, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
    writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }));
  }
  lines.push([path, type, hash, isText ? "compressed" : "plain", hashes.join(" ")].join("\t"));
}
rmSync(manifest, { force: true });
writeFileSync(manifest, `${lines.sort().join("\n")}\n`);
// The next `cargo build` embeds the files.
if (existsSync(embedding)) utimesSync(embedding, new Date(), new Date());
report();

/** Prints the compressed size of the scripts that each page loads first, and fails if it is too large. */
function report() {
  for (const page of lines.map((line) => line.split("\t")[0]).filter((path) => path.endsWith(".html"))) {
    const html = readFileSync(join(out, page), "utf8");
    const loaded = new Set([...html.matchAll(/<script(?![^>]*noModule)[^>]*src="\/dashboard\/(_next\/[^"?]+\.js)/gi)].map(([, path]) => path));
    const bytes = [...loaded].reduce((sum, path) => sum + readFileSync(join(out, `${path}.br`)).length, 0);
    process.stdout.write(`${page}: ${loaded.size} scripts, ${(bytes / 1000).toFixed(0)} KB compressed\n`);
    if (bytes > SCRIPT_BYTES_MAX) throw new Error(`${page} loads more than ${SCRIPT_BYTES_MAX} bytes of compressed scripts: load a dialog or a chart after the page is drawn`);
  }
}

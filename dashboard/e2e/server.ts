/** Starts the built binary on SQLite with a user, a budget, keys and some requests: one server for each worker of the tests. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const BINARY = process.env.TOLLGATE_BINARY ?? join(import.meta.dirname, "..", "..", "target", "debug", "tollgate");
const READY_MS = 60_000;

export const EMAIL = "ada@example.com";
export const PASSWORD = "a long walk by the harbour";

/** Limits on sign-ins stay; limits on requests would slow the tests down. The provider openai has no credential, and nobody listens at its address. */
const CONFIGURATION = `
control:
  rate_limits: []
providers:
  - {name: mock, kind: mock}
  - {name: openai, kind: openai, base_url: "http://127.0.0.1:9/v1", credential: vault}
models:
  - {name: mock, targets: [{provider: mock, model: mock}]}
  - {name: fast, credits: 2, targets: [{provider: openai, model: gpt-5-mini}]}
`;

export interface Server {
  url: string;
  proxyUrl: string;
  /** The flags with which commands use the same store. */
  data: string[];
  stop(): Promise<void>;
}

/** Starts the binary with an empty store; `prepare` runs before, with the flags of the store. */
export async function startServer(configuration: string, prepare?: (data: string[]) => void): Promise<Server> {
  const folder = mkdtempSync(join(tmpdir(), "dashboard-"));
  const file = join(folder, "tollgate.yaml");
  writeFileSync(file, configuration);
  const data = ["--config", file, "--data", join(folder, "data")];
  prepare?.(data);
  const [proxy, control] = [await freePort(), await freePort()];
  const environment = { ...process.env, TOLLGATE_CONTROL__LISTEN: `127.0.0.1:${control}` };
  const child = spawn(BINARY, ["serve", "--listen", `127.0.0.1:${proxy}`, ...data], { env: environment, stdio: ["ignore", "ignore", openSync(join(folder, "log"), "w")] });
  const [url, proxyUrl] = [`http://127.0.0.1:${control}`, `http://127.0.0.1:${proxy}`];
  await ready(url, child);
  const stop = async () => {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  return { url, proxyUrl, data, stop };
}

/** Creates a user with a password. */
export function createUser(email: string, name: string, flags: string[]): void {
  execFileSync(BINARY, ["users", "create", "--email", email, "--name", name, "--password-stdin", ...flags], { input: `${PASSWORD}\n` });
}

/** The output of a command. */
export function run(flags: string[], input = ""): string {
  return execFileSync(BINARY, flags, { encoding: "utf8", input });
}

/** Starts the server of a worker; its addresses, key and session are in the worker's environment. Returns the function that stops it. */
export async function startSeeded(): Promise<() => Promise<void>> {
  const { url, proxyUrl, stop } = await startServer(CONFIGURATION, (data) => createUser(EMAIL, "Ada Example", ["--admin", ...data]));
  const key = await seed(url, proxyUrl);
  Object.assign(process.env, { DASHBOARD_URL: url, PROXY_URL: proxyUrl, SEEDED_KEY: key });
  return stop;
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => (typeof address === "object" && address ? resolve(address.port) : reject(new Error("no port"))));
    });
  });
}

async function ready(url: string, child: ChildProcess): Promise<void> {
  const end = Date.now() + READY_MS;
  while (Date.now() < end) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}`);
    const response = await fetch(`${url}/readyz`).catch(() => undefined);
    if (response?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("the server was not ready in time");
}

/** Sends JSON and returns the response's; keeps the cookies of a sign-in. */
export async function json(url: string, token: string | undefined, body?: unknown, method = "POST"): Promise<Record<string, unknown>> {
  const headers: Record<string, string> = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  const response = await fetch(url, { method, headers, body: JSON.stringify(body) });
  const cookies = response.headers.getSetCookie().map((cookie) => cookie.split(";")[0] ?? "");
  // One session for all tests: ten sign-ins of an account in 15 minutes are the limit.
  if (cookies.length > 0) process.env.SESSION_COOKIES = JSON.stringify(cookies);
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${text}`);
  return JSON.parse(text) as Record<string, unknown>;
}

/** Creates a budget, keys and requests; returns a key that may do everything that its user may. */
async function seed(url: string, proxyUrl: string): Promise<string> {
  const signedIn = await json(`${url}/api/auth/login`, undefined, { email: EMAIL, password: PASSWORD });
  const token = String(signedIn.access_token);
  const user = (signedIn.user as { id: string }).id;
  await json(`${url}/api/budgets/user/${user}/money/month`, token, { money: "5 USD" }, "PUT");
  const soon = new Date(Date.now() + 86_400_000).toISOString();
  const laptop = await json(`${url}/api/keys`, token, { label: "laptop" });
  await json(`${url}/api/keys`, token, { label: "ci-runner", expires_at: soon, limits: { credits_per_day: 5_000 } });
  await json(`${url}/api/keys`, token, { label: "<b>مفتاح</b> 🔑", scopes: { models: ["openai/*"] }, addresses: ["203.0.113.0/24"] });
  const models = ["mock", "mock/echo", "mock/tokens-400", "mock/500", "mock/429", "mock/slow"];
  for (const model of [...models, ...models.slice(0, 3), "mock"]) {
    const body = { model, messages: [{ role: "user", content: "Hello" }] };
    await fetch(`${proxyUrl}/v1/chat/completions`, {
      method: "POST",
      headers: { "Content-Type": "application/json", Authorization: `Bearer ${String(laptop.key)}` },
      body: JSON.stringify(body),
    }).then((response) => response.text());
  }
  return String(laptop.key);
}

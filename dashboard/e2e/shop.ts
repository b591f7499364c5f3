/** A server that sells plans, the stub of Midtrans, and users who buy from it. */
import { type ChildProcess, spawn } from "node:child_process";

import { type Page, expect } from "@playwright/test";

import { BINARY, PASSWORD, type Server, createUser, freePort, startServer } from "./server";

const KEY = "SB-Mid-server-stub";

/** 150,000 rupiah with the tax of Indonesia are 166,500. */
export const TOTAL = 166_500;

function configuration(stub: string): string {
  return `
control: {rate_limits: []}
outbound: {allow: [127.0.0.0/8]}
mock: true
plans:
  - {name: starter, credits_per_day: 1000, requests_per_minute: 60, price: "0 IDR"}
  - name: pro
    credits_per_day: 10000
    requests_per_minute: 300
    price: "150000 IDR"
    charges:
      - {name: Credits, metric: credits, model: tiered, included: 300000, tiers: [{up_to: 1000000, unit: "0.5 IDR"}, {unit: "0.3 IDR"}]}
  - {name: team, credits_per_day: 50000, requests_per_minute: 600, price: "500000 IDR"}
  - {name: business, credits_per_day: 100000, requests_per_minute: 3000, price: "15000000 IDR", interval: year, trial: 14d}
billing:
  enabled: true
  fallback_plan: starter
  tax: {name: PPN, rate: 12%, base: 11/12, from: 2025-01-01}
midtrans:
  server_key: \${MIDTRANS_SERVER_KEY}
  core: ${stub}
  snap: ${stub}/snap/v1
`;
}

export interface Shop {
  server: Server;
  /** Plays the customer or the bank: a path below `/_stub/`. */
  play(path: string, body?: unknown): Promise<unknown>;
  stop(): Promise<void>;
}

/** Starts the stub and a server that sells four plans. */
export async function openShop(users: readonly string[], admin: string): Promise<Shop> {
  const port = await freePort();
  const stub = `http://127.0.0.1:${port}`;
  const child = spawn(BINARY, ["mock", "--midtrans", "--listen", `127.0.0.1:${port}`, "--server-key", KEY], { stdio: "ignore" });
  // A reference, so that the pages may show and change the text of the configuration.
  process.env.MIDTRANS_SERVER_KEY = KEY;
  const server = await startServer(configuration(stub), (data) => {
    users.forEach((name) => createUser(emailOf(name), name, data));
    createUser(emailOf(admin), admin, ["--admin", ...data]);
  });
  const play = async (path: string, body?: unknown): Promise<unknown> => {
    const response = await fetch(`${stub}/_stub/${path}`, { method: body === undefined && /^(orders|notifications)$/.test(path) ? "GET" : "POST", body: JSON.stringify(body ?? {}) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  await play("settings", { notification_url: `${server.url}/midtrans/notification` });
  const stop = async () => {
    await server.stop();
    await ended(child);
  };
  return { server, play, stop };
}

function ended(child: ChildProcess): Promise<unknown> {
  const end = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  return end;
}

function emailOf(name: string): string {
  return `${name}@example.com`;
}

/** Signs a user of the shop in. */
export async function enter(page: Page, shop: Shop, name: string): Promise<void> {
  const response = await page.request.post(`${shop.server.url}/api/auth/login`, { data: { email: emailOf(name), password: PASSWORD } });
  if (!response.ok()) throw new Error(`sign-in of ${name}: ${response.status()} ${await response.text()}`);
}

/** Subscribes the user of the page to a plan, and returns the id of the invoice. */
export async function subscribe(page: Page, shop: Shop, plan: string): Promise<string> {
  const response = await page.request.post(`${shop.server.url}/api/subscription`, { data: { plan }, headers: { Origin: shop.server.url } });
  if (!response.ok()) throw new Error(`${plan}: ${response.status()} ${await response.text()}`);
  return ((await response.json()) as { invoice_id: string }).invoice_id;
}

/** Pays an invoice of the user of the page by QRIS, and waits until it is paid. */
export async function payInvoice(page: Page, shop: Shop, invoice: string): Promise<void> {
  const url = `${shop.server.url}/api/invoices/${invoice}`;
  const begun = await page.request.post(`${url}/pay`, { data: { method: "qris" }, headers: { Origin: shop.server.url } });
  const { payment } = (await begun.json()) as { payment: { order_id: string } };
  await shop.play(`pay/${payment.order_id}`);
  const state = async () => ((await (await page.request.get(url)).json()) as { state: string }).state;
  await expect.poll(state).toBe("paid");
}

/** The newest payment of an invoice, as the API shows it. */
export async function newestPayment(page: Page, shop: Shop, invoice: string): Promise<{ id: string; order_id: string; state: string; qr_text?: string; va?: { number: string } }> {
  const response = await page.request.get(`${shop.server.url}/api/invoices/${invoice}`);
  const { payments } = (await response.json()) as { payments: { id: string; order_id: string; state: string }[] };
  const newest = payments.at(-1);
  if (!newest) throw new Error("the invoice has no payment");
  return newest;
}

/** Makes what differs from run to run the same in every screenshot: times, durations, ids and ports. The rest is real. */
import type { Page, Route } from "@playwright/test";

import { at } from "./pages";

/** The time that all screenshots show. */
const NOW = Date.parse("2026-11-21T12:00:00Z");
const MINUTE = 60_000;
const DAY = 86_400_000;
/** Milliseconds that replace every measured duration, by field. */
const DURATIONS: Record<string, number> = { first_byte_ms: 318, total_ms: 642, mean_ms: 486, p50_ms: 412, p95_ms: 1284, p99_ms: 2140 };

function moment(text: string): string {
  const distance = Date.parse(text) - Date.now();
  if (/T00:00:00(\.0+)?Z$/.test(text)) {
    // The steps of a series keep their days; quotas and budgets reset tomorrow or with the month.
    if (distance < 0) return `${day(text.slice(0, 10))}T00:00:00Z`;
    return distance < 2 * DAY ? "2026-11-22T00:00:00Z" : "2026-12-01T00:00:00Z";
  }
  if (Math.abs(distance) < 60 * MINUTE) return new Date(NOW - MINUTE).toISOString();
  return new Date(NOW + Math.round(distance / (60 * MINUTE)) * 60 * MINUTE).toISOString();
}

function day(text: string): string {
  const today = Date.parse(new Date().toISOString().slice(0, 10));
  const days = Math.round((Date.parse(text) - today) / DAY);
  return new Date(NOW + days * DAY).toISOString().slice(0, 10);
}

/** The page counts the days of a series from its frozen time, and the server from today. */
function realSince(url: string): string {
  const moved = new URL(url);
  const since = moved.searchParams.get("since");
  const today = Date.parse(new Date().toISOString().slice(0, 10));
  if (since) moved.searchParams.set("since", new Date(Date.parse(since) + today - Date.parse(new Date(NOW).toISOString().slice(0, 10))).toISOString());
  return moved.href;
}

/** One value of a response. Ids keep their differences, because pages join by them. */
function frozen(name: string, value: unknown, ids: Map<string, string>): unknown {
  if (Array.isArray(value)) return value.map((item) => frozen(name, item, ids));
  if (typeof value === "object" && value !== null) {
    const fields = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, frozen(key, item, ids)]));
    // On the last day of a month, the month ends tomorrow too.
    return fields.per === "month" && fields.resets_at ? { ...fields, resets_at: "2026-12-01T00:00:00Z" } : fields;
  }
  if (typeof value === "number") return name.endsWith("_micros") ? NOW * 1_000 : (DURATIONS[name] ?? value);
  if (typeof value !== "string") return value;
  if (/^\d{4}-\d\d-\d\dT/.test(value)) return moment(value);
  if (/^\d{4}-\d\d-\d\d$/.test(value)) return name === "since" ? "2026-11-01" : name === "as_of" ? value : day(value);
  if (/^[0-9a-f]{8}-[0-9a-f]{4}-/.test(value)) {
    const next = `01938f3c-0000-7000-8000-${String(ids.size).padStart(12, "0")}`;
    if (!ids.has(value)) ids.set(value, next);
    return ids.get(value);
  }
  if (/^[0-9a-f]{32,}$/.test(value)) return "0".repeat(value.length);
  // The page compares its own address with this one.
  if (name === "page_origin") return value;
  if (name === "last4") return "9f3c";
  return value.replaceAll(/127\.0\.0\.1:\d+/g, "127.0.0.1:8080");
}

/** Freezes the clock of the page and the responses of the API. */
export async function freeze(page: Page): Promise<void> {
  const ids = new Map<string, string>();
  await page.clock.setFixedTime(NOW);
  const answer = async (route: Route): Promise<void> => {
    const response = await route.fetch({ url: realSince(route.request().url()) });
    if (!response.headers()["content-type"]?.startsWith("application/json")) return route.fulfill({ response });
    const headers = { ...response.headers(), date: new Date(NOW).toUTCString() };
    await route.fulfill({ response, headers, json: frozen("", await response.json(), ids) });
  };
  for (const paths of ["/api/**", "/review/**"]) await page.route(at(paths), answer);
  // A stream has no whole response that could be replaced.
  await page.route(at("/api/live*"), (route) => route.continue());
}

import { describe, expect, it } from "vitest";

import { type Group, type Point, colourOf, columnsOf, failureRate, groupName, overallColumns, previousOf, ranked, sinceOf, spanOf, stepBounds, totalsOf, usualRange, valueOf } from "@/features/usage/series";
import { amountOf, tickOf } from "@/features/usage/series-figure";
import { barsOf } from "@/features/usage/timeline";
import { formatter } from "@/lib/format";
import { en } from "@/messages/en";

const TOKENS = { input: 1, cached_input: 2, cache_write: 3, output: 4, reasoning: 5, total: 15 };

function point(change: Partial<Point> = {}): Point {
  const latency = { mean_ms: 100, p50_ms: null, p95_ms: null, p99_ms: null };
  return { at: "2026-11-21T00:00:00Z", requests: 8, credits: 8, tokens: TOKENS, cost: { amount_nano: 1_500_000_000, currency: "USD" }, unpriced_requests: 0, succeeded: 7, refused: 2, errors: 3, latency, ...change };
}

function group(name: string | null, change: Partial<Group> = {}): Group {
  return { name, key: null, other_groups: null, points: [point()], ...change };
}

describe("the range of a series", () => {
  it.each([
    ["7d", "hour", { range: "7d", step: "hour" }],
    ["7d", "", { range: "7d", step: "day" }],
    ["90d", "hour", { range: "90d", step: "day" }],
    ["1h", "day", { range: "1h", step: "minute" }],
    ["forever", "x", { range: "14d", step: "day" }],
  ] as const)("reads %s and %s", (range, step, span) => {
    expect(spanOf(range, step, "14d")).toEqual(span);
  });

  it("is short for an account without two weeks of use", () => {
    const now = new Date("2026-11-21T12:00:00Z");
    const usual = (createdAt?: string) => usualRange(createdAt, now);
    expect([usual("2026-11-20T12:00:01Z"), usual("2026-11-16T00:00:00Z"), usual("2026-11-01T00:00:00Z"), usual()]).toEqual(["24h", "7d", "14d", "14d"]);
  });

  it("has a period before it, without the step that the running one replaces", () => {
    const now = new Date("2026-11-21T12:34:56Z");
    expect(previousOf(spanOf("7d", "day", "14d"), now)).toEqual({ since: "2026-11-08T00:00:00.000Z", until: "2026-11-14T00:00:00.000Z" });
    expect(stepBounds("2026-11-21T12:00:00Z", "hour")).toEqual({ since: "2026-11-21T12:00:00.000Z", until: "2026-11-21T13:00:00.000Z" });
  });

  it("ends with the current step", () => {
    const now = new Date("2026-11-21T12:34:56Z");
    const since = (range: string, step: string) => sinceOf(spanOf(range, step, "14d"), now).toISOString();
    expect(since("14d", "day")).toBe("2026-11-08T00:00:00.000Z");
    expect(since("24h", "hour")).toBe("2026-11-20T13:00:00.000Z");
    expect(since("7d", "hour")).toBe("2026-11-14T13:00:00.000Z");
    expect(since("1h", "minute")).toBe("2026-11-21T11:35:00.000Z");
  });
});

describe("groups", () => {
  const eight = Array.from({ length: 8 }, (_, nth) => group(`m${nth}`));
  const rest = group(null, { other_groups: 5 });
  const all = [...eight, rest];

  it("have a colour by their place, and share one from the seventh on", () => {
    expect(all.map((of) => colourOf(all, of)).slice(4)).toEqual(["var(--c-5)", "var(--c-6)", "var(--c-other)", "var(--c-other)", "var(--c-other)"]);
  });

  it("add up the others, but not their durations", () => {
    const drawn = columnsOf(all, "requests", (of) => of.name ?? "", (count) => `other ${count}`);
    expect(drawn.columns.map(({ name }) => name)).toEqual(["m0", "m1", "m2", "m3", "m4", "m5", "other 7"]);
    expect(drawn.rows).toEqual([{ at: "2026-11-21T00:00:00Z", values: [8, 8, 8, 8, 8, 8, 24] }]);
    expect(columnsOf(all, "latency", () => "", () => "").columns).toHaveLength(6);
  });

  it("keep what is unknown apart from zero", () => {
    const unknown = group("key", { points: [point({ errors: null, latency: { mean_ms: null, p50_ms: null, p95_ms: null, p99_ms: null } })] });
    expect(columnsOf([unknown, group("b", { points: [point({ errors: 0 })] })], "errors", () => "", () => "").rows[0]?.values).toEqual([null, 0]);
    expect(valueOf(point(), "spend")).toBe(1.5);
    expect(valueOf(point({ latency: { mean_ms: 1, p50_ms: 2, p95_ms: 3, p99_ms: 4 } }), "latency")).toBe(3);
  });

  it("are ranked by cost, then by requests, the rest last", () => {
    const free = (name: string, requests: number) => group(name, { points: [point({ requests, cost: { amount_nano: 0, currency: "USD" } })] });
    expect(ranked([rest, free("few", 1), free("many", 9), group("paid")]).map(({ name }) => name)).toEqual(["paid", "many", "few", null]);
  });

  it("have names", () => {
    expect(groupName(rest, "model", en, String)).toBe("Other, 5");
    expect(groupName(group(null), "route", en, String)).toBe("No route");
    expect(groupName(group("x", { key: { id: "1", label: "laptop", prefix: "a", last4: "0000" } }), "key", en, String)).toBe("laptop");
    expect([groupName(group("refused"), "status", en, String), groupName(group("later"), "status", en, String)]).toEqual(["Refused", "Unknown"]);
  });

  it("have totals: a mean weighted by requests, and a rate of failures among requests that were not refused", () => {
    const slow = point({ requests: 24, refused: 0, errors: 1, latency: { mean_ms: 300, p50_ms: null, p95_ms: null, p99_ms: null } });
    const totals = totalsOf([point(), slow]);
    expect(totals).toEqual({ requests: 32, tokens: 30, spendNano: 3_000_000_000, unpriced: 0, succeeded: 14, refused: 2, errors: 4, meanMs: 250 });
    expect(failureRate(totals)).toBeCloseTo(4 / 18);
    expect(failureRate(totalsOf([point({ succeeded: null, errors: null, refused: null })]))).toBeNull();
    expect(totalsOf([]).meanMs).toBeNull();
  });

  it("split all requests into those that succeeded, failed and were refused", () => {
    expect(overallColumns("requests", "hour", [], en).map(({ column, of }) => [column.name, of(point())])).toEqual([["Succeeded", 7], ["Failed", 3], ["Refused", 2]]);
    expect(overallColumns("latency", "day", [], en).map(({ of }) => of(point()))).toEqual([100]);
    expect(overallColumns("tokens", "day", [], en).reduce((sum, { of }) => sum + (of(point()) ?? 0), 0)).toBe(15);
    const held = point({ charged: { amount_nano: point().cost.amount_nano + 500_000_000, currency: "USD" } });
    expect(overallColumns("spend", "day", [point()], en).map(({ column }) => column.name)).toEqual(["Spend"]);
    expect(overallColumns("spend", "day", [held], en).map(({ column, of }) => [column.name, of(held)])).toEqual([["Spend", point().cost.amount_nano / 1e9], ["Reserved", 0.5]]);
  });
});

describe("the ticks of money", () => {
  it("have as many decimals as their step needs, all the same", () => {
    const format = formatter("en");
    const texts = (step: number, values: number[]) => values.map((value) => tickOf(value, { step, measure: "spend", currency: "USD" }, format));
    expect(texts(0.01, [0.01, 0.02, 0.03, 0.04])).toEqual(["$0.01", "$0.02", "$0.03", "$0.04"]);
    expect(texts(0.002, [0.002, 0.004, 0.006])).toEqual(["$0.002", "$0.004", "$0.006"]);
    expect(texts(500, [500, 1000])).toEqual(["$500.00", "$1,000.00"]);
    expect(amountOf(0.004, "spend", format, "USD")).toBe("$0.004000");
  });
});

describe("barsOf", () => {
  it("puts attempts end to end and splits them at the first byte", () => {
    const bars = barsOf([
      { total_ms: 200, status: 529, first_byte_ms: 190 },
      { total_ms: 1000, status: 200, first_byte_ms: 300 },
      { total_ms: 50 },
    ]);
    expect(bars.map(({ parts }) => parts)).toEqual([
      [{ kind: "fail", from: 0, to: 200 }],
      [{ kind: "wait", from: 200, to: 500 }, { kind: "strm", from: 500, to: 1200 }],
      [{ kind: "fail", from: 1200, to: 1250 }],
    ]);
  });
});

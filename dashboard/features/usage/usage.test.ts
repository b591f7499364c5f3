import { describe, expect, it } from "vitest";

import { daysAsCsv } from "@/features/usage/csv";
import { barsOf } from "@/features/usage/timeline";

describe("daysAsCsv", () => {
  it("writes plain integers", () => {
    const tokens = { input: 1, cached_input: 2, cache_write: 3, output: 4, reasoning: 5, total: 15 };
    const day = { date: "2026-11-21", requests: 7, credits: 8, tokens, cost: { amount_nano: 9, currency: "USD" }, unpriced_requests: 1 };
    expect(daysAsCsv([day])).toBe(
      "date,requests,credits,input,cached_input,cache_write,output,reasoning,cost_nano,currency,unpriced_requests\r\n2026-11-21,7,8,1,2,3,4,5,9,USD,1\r\n",
    );
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

import type { Schemas } from "@/lib/api";

const HEAD = ["date", "requests", "credits", "input", "cached_input", "cache_write", "output", "reasoning", "cost_nano", "currency", "unpriced_requests"];

/** The days of a range as CSV (RFC 4180): plain integers, so that a spreadsheet can sum them. */
export function daysAsCsv(days: readonly Schemas["UsageOfDay"][]): string {
  const rows = days.map(({ date, requests, credits, tokens, cost, unpriced_requests }) => {
    const classes = [tokens.input, tokens.cached_input, tokens.cache_write, tokens.output, tokens.reasoning];
    return [date, requests, credits, ...classes, cost.amount_nano, cost.currency, unpriced_requests].join(",");
  });
  return [HEAD.join(","), ...rows, ""].join("\r\n");
}

/** Lets the browser save a text as a file. */
export function save(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}

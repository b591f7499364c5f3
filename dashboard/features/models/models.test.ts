import { describe, expect, it } from "vitest";

import { type Model, classPrices, matching, rateOf, unitPrices } from "@/features/models/model-prices";
import { formatter } from "@/lib/format";

const NO_RATES = {
  input: null, cached_input: null, cache_write_short: null, cache_write_long: null, output: null,
  audio_input: null, image_input: null, audio_output: null, image_output: null,
};
const NO_UNITS = {
  image: null, millisecond: null, character: null, search: null, search_prompt: null,
  maps_query: null, maps_prompt: null, container: null, file_search: null, request: null,
};
const PRICE: Model["price"] = {
  version: "v", source: "s", as_of: null, stale: false, until: null, currency: "USD",
  rates_pico: { ...NO_RATES, input: 250_000, cached_input: 25_000, output: 0 },
  long: { above_tokens: 200_000, rates_pico: { ...NO_RATES, input: 500_000 } },
  units_pico: { ...NO_UNITS, millisecond: 100_000, search: 10_000_000_000 },
};
const MODEL: Model = {
  name: "fast", aliases: ["openai/gpt-5-mini"], listed: true, provider: "openai", provider_model: "gpt-5-mini",
  formats: ["chat"], credits: 1, credential: "shared", limits: null, price: PRICE,
};

describe("the price of a model", () => {
  it("has a line per class, with the rate of long requests where there is one", () => {
    expect(PRICE && classPrices(PRICE)).toEqual([
      { name: "input", standard: 250_000, long: 500_000 },
      { name: "cached_input", standard: 25_000, long: undefined },
      { name: "output", standard: 0, long: undefined },
    ]);
  });

  it("shows units in readable numbers", () => {
    expect(PRICE && unitPrices(PRICE)).toEqual([{ name: "millisecond", amount: 0.006 }, { name: "search", amount: 10 }]);
  });

  it("is never free where it is unknown, and never unknown where it is free", () => {
    const format = formatter("en");
    expect(rateOf(MODEL, "output", format)).toBe("$0.00");
    expect(rateOf(MODEL, "cached_input", format)).toBe("$0.025");
    expect(rateOf(MODEL, "cache_write_short", format)).toBeUndefined();
    expect(rateOf({ ...MODEL, price: null }, "input", format)).toBeUndefined();
  });
});

describe("matching", () => {
  const other: Model = { ...MODEL, name: "anthropic/claude", aliases: [], provider: "anthropic", provider_model: "claude" };
  it.each([
    ["", "", ["fast", "anthropic/claude"]],
    ["GPT-5", "", ["fast"]],
    ["claude anthropic", "", ["anthropic/claude"]],
    ["", "openai", ["fast"]],
    ["claude", "openai", []],
  ])("finds %o of provider %o", (text, provider, names) => {
    expect(matching([MODEL, other], text, provider).map(({ name }) => name)).toEqual(names);
  });
});

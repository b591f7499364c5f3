import { describe, expect, it } from "vitest";

import { chargeOf, moneyText, priceOf, withPrice } from "@/features/plans/plan-text";
import type { Plan } from "@/features/plans/use-plans";

const PLAN: Plan = { id: "p1", name: "starter", credits_per_day: 1000, requests_per_minute: 60, budgets: [], shared_keys: true, created_at: "", updated_at: "", for_sale: false };
const PRO: Plan = { ...PLAN, id: "p2", name: "pro", credits_per_day: null, budgets: [{ money: "20 USD", per: "day" }], for_sale: true, price: { amount: 150_000, currency: "IDR" }, interval: "month", trial_days: 14, charges: [], version: 1 };
const PRICE = { price: '"175000 IDR"', interval: "month", trial: "7d" };
const set = (text: string, name = "pro", price: Parameters<typeof withPrice>[2] = PRICE) => withPrice(text, name, price, [PLAN, PRO]);

describe("the price of a plan in a configuration", () => {
  it("is written into a mapping in braces, and replaces the price that it has", () => {
    const text = 'log: {level: info}\nplans: # sold\n  - {name: "starter", credits_per_day: 1000}\n  - {name: pro, budgets: [{money: "20 USD", per: day}], price: "150000 IDR", interval: year}  # ours\nroutes: []\n';
    expect(set(text)).toBe(text.replace('price: "150000 IDR", interval: year', 'price: "175000 IDR", interval: month, trial: 7d'));
    expect(set(text, "starter")).toBe(text.replace("credits_per_day: 1000}", 'credits_per_day: 1000, price: "175000 IDR", interval: month, trial: 7d}'));
    expect(withPrice(text, "pro", undefined, [PLAN, PRO])).toBe(text.replace(', price: "150000 IDR", interval: year', ""));
  });

  it("is written into a mapping of lines, and keeps comments and other keys", () => {
    const text = `plans:
- name: starter
- name: pro
  credits_per_day: 10 # a day
  price: "1 IDR" # old
  charges:
    # usage
    - {name: Requests, metric: requests, unit: "5 IDR"}
  requests_per_minute: 5

# the rest
log: {level: warn}
`;
    expect(set(text)).toBe(`plans:
- name: starter
- name: pro
  credits_per_day: 10 # a day
  requests_per_minute: 5
  price: "175000 IDR"
  interval: month
  trial: 7d

# the rest
log: {level: warn}
`);
    expect(set(text, "starter")).toContain('- name: starter\n  price: "175000 IDR"\n  interval: month\n  trial: 7d\n- name: pro');
  });

  it("is added with the plan to a list without it, and with all plans to a text without a list", () => {
    expect(set("plans: [{name: starter}]\n")).toBe('plans: [{name: starter}, {name: "pro", requests_per_minute: 60, budgets: [{money: "20 USD", per: day}], price: "175000 IDR", interval: month, trial: 7d}]\n');
    expect(set("plans:\n  - {name: starter}\nlog: {}")).toContain('  - {name: starter}\n  - {name: "pro"');
    expect(set("log: {}", "starter")).toBe(`log: {}
plans:
  - {name: "starter", credits_per_day: 1000, requests_per_minute: 60, price: "175000 IDR", interval: month, trial: 7d}
  - {name: "pro", requests_per_minute: 60, budgets: [{money: "20 USD", per: day}], price: "150000 IDR", interval: month, trial: 14d}
`);
  });

  it("is not written into a form that is not known", () => {
    expect(set("plans: &all\n  - {name: pro}\n")).toBeUndefined();
    expect(set("plans: [{name: pro\n")).toBeUndefined();
    expect(set("plans:\n  pro: {}\n")).toBeUndefined();
  });

  it("leaves braces, commas and hashes in quotes alone", () => {
    const text = "plans: [{name: pro, aliases: {\"a,}\": 'it''s # b', c: d#e}, price: \"1 IDR\"}]\n";
    expect(set(text)).toBe(text.replace('price: "1 IDR"', 'price: "175000 IDR", interval: month, trial: 7d'));
  });
});

describe("the charges of a plan", () => {
  it("are written as the configuration reads them", () => {
    const base = { name: "Usage", metric: "tokens" as const, models: [] as string[], included: 0, model: "per_unit" as const };
    expect(chargeOf({ ...base, unit_price: "0.02" }, "IDR")).toBe('{name: "Usage", metric: tokens, model: per_unit, unit: "0.02 IDR"}');
    expect(chargeOf({ ...base, metric: "cost", model: "cost", included: 5_500_000_000, markup_percent: 20 }, "IDR")).toBe('{name: "Usage", metric: cost, included: "5.5 USD", markup: 20%}');
    const tiers = [{ up_to: 10, unit_price: "0.5" }, { up_to: null, unit_price: "0.3" }];
    expect(chargeOf({ ...base, model: "tiered", included: 3, models: ["fast"], tiers }, "USD")).toBe('{name: "Usage", metric: tokens, model: tiered, models: ["fast"], included: 3, tiers: [{up_to: 10, unit: "0.5 USD"}, {unit: "0.3 USD"}]}');
    expect(priceOf({ ...PRO, charges: [{ ...base, model: "package", size: 1000, unit_price: "250" }] })).toEqual({ price: '"150000 IDR"', interval: "month", trial: "14d", charges: '[{name: "Usage", metric: tokens, model: package, size: 1000, unit: "250 IDR"}]' });
    expect(priceOf(PLAN)).toBeUndefined();
    expect([moneyText({ amount: 5_000_000_001, currency: "USD" }), moneyText({ amount: 20_000_000_000, currency: "USD" })]).toEqual(["5.000000001 USD", "20 USD"]);
  });
});

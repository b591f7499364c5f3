import { describe, expect, it } from "vitest";

import { EMPTY_KEY, type KeyFields, budgetChanges, changeOf, fieldsOf, keyShape, newKeyOf } from "@/features/keys/key-form";
import { type ApiKey, scopeOf, shortened, stateOf } from "@/features/keys/key-state";
import { formatter } from "@/lib/format";
import { en } from "@/messages/en";

const NOW = new Date("2026-11-21T12:00:00Z");
const KEY: ApiKey = {
  id: "0199", user_id: "0198", admin: false, labels: {}, label: "laptop", prefix: "acme", last4: "9f3c", created_at: "2026-11-01T00:00:00Z", expires_at: null, revoked_at: null,
  last_used_at: null, previous: null, scopes: { models: null, routes: null }, limits: { credits_per_day: null, requests_per_minute: null }, addresses: null,
};

describe("stateOf", () => {
  it.each([
    ["active", {}, 0],
    ["revoked", { revoked_at: "2026-11-02T00:00:00Z", expires_at: "2026-11-03T00:00:00Z" }, 0],
    ["expired", { expires_at: "2026-11-21T12:00:00Z" }, 0],
    ["ending", { expires_at: "2026-11-22T12:00:00Z" }, 0],
    ["active", { expires_at: "2026-12-22T12:00:00Z" }, 0],
    ["rotating", { previous: { last4: "abcd", until: "2026-11-21T13:00:00Z" } }, 0],
    ["active", { previous: { last4: "abcd", until: "2026-11-21T11:00:00Z" } }, 0],
    ["used-up", { limits: { credits_per_day: 10 } }, 10],
    ["active", { limits: { credits_per_day: 10 } }, 9],
  ] as const)("is %s for %o", (state, change, credits) => {
    expect(stateOf({ ...KEY, ...change } as ApiKey, NOW, { credits })).toBe(state);
  });
});

describe("a key in a list", () => {
  it("shows its scope and never its middle", () => {
    const format = formatter("en");
    expect(scopeOf(KEY, en, format)).toBe("Every model and route");
    const limited = { ...KEY, scopes: { models: ["openai/*", "fast"] }, limits: { requests_per_minute: 60 }, addresses: ["203.0.113.0/24"] };
    expect(scopeOf(limited, en, format)).toBe("Models: openai/*, fast · From 203.0.113.0/24 · 60 requests a minute");
    expect(shortened(KEY)).toBe("acme_…9f3c");
    const admin = { ...KEY, admin: true, scopes: { models: [], routes: [] }, addresses: ["203.0.113.7/32"] };
    expect(scopeOf(admin, en, format)).toBe("Administration · From 203.0.113.7/32");
  });
});

describe("the form of a key", () => {
  const read = (fields: Partial<KeyFields>, initial = EMPTY_KEY) => keyShape(en, initial).safeParse({ ...EMPTY_KEY, label: "a", ...fields });

  it("leaves empty fields of a new key out", () => {
    expect(newKeyOf({ ...EMPTY_KEY, label: "a" })).toEqual({ label: "a" });
  });

  it("reads limits and lists", () => {
    const { data } = read({ label: " b ", expires: "2126-01-31", credits: "500", rate: "60", models: "openai/*, fast", routes: "users", addresses: "::1\n203.0.113.0/24" });
    expect(data && newKeyOf(data)).toEqual({
      label: "b",
      expires_at: new Date("2126-01-31T23:59:59").toISOString(),
      limits: { credits_per_day: 500, requests_per_minute: 60 },
      scopes: { models: ["openai/*", "fast"], routes: ["users"] },
      addresses: ["::1", "203.0.113.0/24"],
    });
  });

  it.each([
    { label: " " }, { label: "x".repeat(201) }, { credits: "1.5" }, { credits: "-1" }, { rate: "-1" }, { rate: "0" }, { rate: "2147483648" },
    { expires: "2020-01-01" }, { money_day: "1,5" }, { money_month: "$5" }, { tokens_day: "1e9" },
  ])("refuses %o", (fields) => {
    expect(read(fields).success).toBe(false);
  });

  it.each([{ credits: "0" }, { rate: "2147483647" }, { money_day: "0.50" }, { tokens_month: "5000000" }])("accepts %o", (fields) => {
    expect(read(fields).success).toBe(true);
  });

  it("sends only expiry and addresses of a key with the scope admin", () => {
    const day = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10);
    const { data } = read({ scope: "admin", expires: day, addresses: "203.0.113.7", credits: "5", models: "fast", money_day: "1" });
    const expires_at = new Date(`${day}T23:59:59`).toISOString();
    expect(data && newKeyOf(data)).toEqual({ label: "a", scopes: ["admin"], expires_at, addresses: ["203.0.113.7"] });
    expect(data && budgetChanges(EMPTY_KEY, data, "USD")).toEqual([]);
  });

  it.each([{ expires: "" }, { expires: "2126-01-31" }])("refuses a key with the scope admin and %o", (fields) => {
    expect(read({ scope: "admin", ...fields }).success).toBe(false);
  });

  it("accepts the expiry that the key has", () => {
    expect(read({ expires: "2020-01-01" }, { ...EMPTY_KEY, expires: "2020-01-01" }).success).toBe(true);
  });
});

describe("the change of a key", () => {
  const key: ApiKey = {
    ...KEY, expires_at: "2126-01-31T12:00:00Z", scopes: { models: [], routes: ["users"] },
    limits: { credits_per_day: 10, requests_per_minute: 60 }, addresses: ["::1"],
  };
  const before = fieldsOf(key, [
    { dimension: "key", id: key.id, per: "month", money: "5 USD", used: null, remaining: null, resets_at: "", source: "api" },
    { dimension: "key", id: key.id, per: "day", tokens: 1000, used: 0, remaining: 1000, resets_at: "", source: "configuration" },
    { dimension: "user", id: "1", per: "day", money: "1 USD", used: null, remaining: null, resets_at: "", source: "api" },
  ]);

  it("begins with what the key has", () => {
    expect(before).toEqual({ ...EMPTY_KEY, label: "laptop", expires: before.expires, credits: "10", rate: "60", routes: "users", addresses: "::1", money_month: "5" });
    expect(before.expires).toMatch(/^2126-01-(31|30)$|^2126-02-01$/);
  });

  it("is empty without a change, so that a key that may use no model stays so", () => {
    expect(changeOf(before, before)).toEqual({});
    expect(budgetChanges(before, before, "USD")).toEqual([]);
  });

  it("sends only what changed, and null for what was removed", () => {
    expect(changeOf(before, { ...before, credits: "", addresses: "", expires: "", routes: "" })).toEqual({
      limits: { credits_per_day: null }, addresses: null, expires_at: null, scopes: { routes: null },
    });
    expect(changeOf(before, { ...before, label: "b", models: "*", rate: "5" })).toEqual({ label: "b", limits: { requests_per_minute: 5 }, scopes: { models: ["*"] } });
  });

  it("sets and removes budgets", () => {
    expect(budgetChanges(before, { ...before, money_month: "", money_day: "0.50", tokens_day: "100" }, "USD")).toEqual([
      { measure: "money", per: "day", body: { money: "0.50 USD" } },
      { measure: "money", per: "month", body: undefined },
      { measure: "tokens", per: "day", body: { tokens: 100 } },
    ]);
  });
});

describe("the labels of a key", () => {
  const labelled: ApiKey = { ...KEY, labels: { tier: "gold", team: "payments" } };
  const before = fieldsOf(labelled, []);

  it("are one text, which replaces all labels only if it changed", () => {
    expect(before.labels).toBe("team=payments, tier=gold");
    expect(changeOf(before, before)).toEqual({});
    expect(changeOf(before, { ...before, labels: "team=core" })).toEqual({ labels: { team: "core" } });
    expect(changeOf(before, { ...before, labels: "" })).toEqual({ labels: {} });
  });

  it("are refused before the server refuses them", () => {
    const result = keyShape(en, before).safeParse({ ...before, labels: "Team=x" });
    expect(result.error?.issues.map(({ path }) => path[0])).toEqual(["labels"]);
  });
});

import { describe, expect, it } from "vitest";

import { newKeyShape } from "@/features/keys/create-dialog";
import { type ApiKey, scopeOf, shortened, stateOf } from "@/features/keys/key-state";
import { formatter } from "@/lib/format";
import { en } from "@/messages/en";

const NOW = new Date("2026-11-21T12:00:00Z");
const KEY: ApiKey = {
  id: "0199", label: "laptop", prefix: "acme", last4: "9f3c", created_at: "2026-11-01T00:00:00Z", expires_at: null, revoked_at: null,
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
  });
});

describe("newKeyShape", () => {
  const empty = { label: "a", expires: "", credits: "", rate: "", models: "", addresses: "" };
  const read = (fields: Record<string, string>) => newKeyShape(en).safeParse({ ...empty, ...fields });

  it("leaves empty fields out", () => {
    expect(read({}).data).toEqual({ label: "a" });
  });

  it("reads limits and lists", () => {
    const { data } = read({ label: " b ", expires: "2126-01-31", credits: "500", rate: "60", models: "openai/*, fast", addresses: "::1\n203.0.113.0/24" });
    expect(data).toEqual({
      label: "b",
      expires_at: new Date("2126-01-31T23:59:59").toISOString(),
      limits: { credits_per_day: 500, requests_per_minute: 60 },
      scopes: { models: ["openai/*", "fast"] },
      addresses: ["::1", "203.0.113.0/24"],
    });
  });

  it.each([{ label: " " }, { label: "x".repeat(201) }, { credits: "0" }, { credits: "1.5" }, { rate: "-1" }, { expires: "2020-01-01" }])("refuses %o", (fields) => {
    expect(read(fields).success).toBe(false);
  });
});

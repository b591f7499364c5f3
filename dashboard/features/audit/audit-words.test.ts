import { readFileSync } from "node:fs";

import { describe, expect, it } from "vitest";

import { valueText } from "@/features/audit/audit-words";
import { formatter } from "@/lib/format";
import { en } from "@/messages/en";
import { id } from "@/messages/id";

/** The names of the actions that the server writes, as its list has them: `KeyCreate = "key.create";`. */
function actions(): string[] {
  const source = readFileSync("../crates/store/src/audit.rs", "utf8");
  return [...source.matchAll(/^ {4}[A-Za-z]+ = "([a-z_]+\.[a-z_]+)";$/gm)].map(([, name]) => name ?? "");
}

describe("the words of the audit log", () => {
  it("name each action of the server in both languages, and no other", () => {
    const names = new Set(actions());
    expect(names.has("invoice.change")).toBe(true);
    expect(new Set(Object.keys(en.audit.actions))).toEqual(names);
    expect(new Set(Object.keys(id.audit.actions))).toEqual(names);
  });

  it("show amounts in full", () => {
    expect([1_250_000, 1_349_000].map((amount) => valueText(amount, en, formatter("en")))).toEqual(["1,250,000", "1,349,000"]);
  });
});

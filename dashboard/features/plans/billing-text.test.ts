import { describe, expect, it } from "vitest";

import type { Configuration } from "@/features/configuration/use-configuration";
import { withBilling } from "@/features/plans/billing-text";

type Settings = Configuration["settings"];

const setting = (key: string, value: string | boolean | number, from = "tollgate.yaml:2"): Settings[number] => ({ key: `billing.${key}`, value, from });
const SETTINGS: Settings = [setting("enabled", false, "default"), setting("number", "INV-{year}-{seq:6}", "default")];

describe("the section billing in a configuration", () => {
  it("is added behind the text", () => {
    const text = 'billing:\n  enabled: true\n  seller:\n    name: "PT \\"Contoh\\""\n';
    const keys = { enabled: true, "seller.name": 'PT "Contoh"', "seller.email": undefined };
    expect(withBilling("", SETTINGS, keys)).toBe(text);
    expect(withBilling("log: {level: info}", SETTINGS, keys)).toBe(`log: {level: info}\n${text}`);
  });

  it("keeps keys that a form does not have, and those that follow", () => {
    const settings = [setting("enabled", true), setting("close_after", "2h"), setting("exchange[0].from", "2026-11-01"), setting("exchange[0].usd_idr", "16500.5"), setting("exchange[1].from", "2026-12-01"), setting("exchange[1].usd_idr", "17000"), setting("seller.name", "Old")];
    const text = 'billing:\n  enabled: true\n  close_after: "2h"\n  exchange:\n    - from: "2026-11-01"\n      usd_idr: 16500.5\n    - from: "2026-12-01"\n      usd_idr: 17000\n  seller:\n    name: "New"\n';
    for (const before of ["billing: {enabled: true, close_after: 2h}\n", "billing:\n  enabled: true\n  close_after: 2h\n"]) {
      expect(withBilling(`a: 1\n${before}plans: []\n`, settings, { "seller.name": "New" })).toBe(`a: 1\n${text}plans: []\n`);
    }
  });

  it("leaves out the keys of variables, which apply over the text", () => {
    expect(withBilling("", [setting("due", "3d", "TOLLGATE_BILLING__DUE")], { enabled: false })).toBe("billing:\n  enabled: false\n");
  });

  it("is not changed if it has comments, references or another form", () => {
    expect(withBilling("billing:\n  enabled: true # ours\n", [setting("enabled", true)], {})).toBeUndefined();
    expect(withBilling("billing: {seller: {name: '${NAME}'}}\n", [setting("seller.name", "***")], {})).toBeUndefined();
    expect(withBilling("billing: *other\n", [], {})).toBeUndefined();
    expect(withBilling("billing: {enabled: true", [], {})).toBeUndefined();
  });
});

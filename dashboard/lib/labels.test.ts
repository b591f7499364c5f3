import { describe, expect, it } from "vitest";

import { isLabel, labelsOf, labelsText } from "@/lib/labels";

describe("labels", () => {
  it("are one text in the order of their names, and read back", () => {
    const labels = { tier: "gold", team: "payments" };
    expect(labelsText(labels)).toBe("team=payments, tier=gold");
    expect(labelsOf(labelsText(labels))).toEqual(labels);
    expect([labelsText({}), labelsOf(" , ")]).toEqual(["", {}]);
  });

  it("are refused as the server refuses them", () => {
    const many = Array.from({ length: 9 }, (_, nth) => `l${nth}=a`).join(",");
    const wrong = ["team", "Team=a", "team=", "team=a b", "team=a=b", "team=a,team=b", `team=${"x".repeat(65)}`, many];
    expect(wrong.map(labelsOf)).toEqual(wrong.map(() => undefined));
    expect([isLabel("team=payments"), isLabel("team=a,tier=b"), isLabel("")]).toEqual([true, false, false]);
  });
});

import { describe, expect, it } from "vitest";

import { ticksOf } from "@/components/ui/chart-ticks";

describe("the ticks of an axis", () => {
  it.each([
    [0.0381, true, [0, 0.01, 0.02, 0.03, 0.04]],
    [0.14, true, [0, 0.05, 0.1, 0.15]],
    [0.0047, true, [0, 0.002, 0.004, 0.006]],
    [0.04, true, [0, 0.01, 0.02, 0.03, 0.04]],
    [10, false, [0, 2, 4, 6, 8, 10]],
    [1, false, [0, 1]],
    [2, false, [0, 1, 2]],
    [3, false, [0, 1, 2, 3]],
    [1046, false, [0, 500, 1000, 1500]],
    [0, true, [0, 1]],
    [9e-10, true, [0, 1e-9]],
  ] as const)("up to %d are equal and round", (most, hasDecimals, ticks) => {
    expect(ticksOf(most, hasDecimals).values).toEqual([...ticks]);
  });

  it("are between two and seven, reach the largest value, and have equal distances", () => {
    for (let most = 1e-8; most < 1e9; most *= 1.37) {
      const { values, step } = ticksOf(most, true);
      expect(values.length, String(most)).toBeGreaterThanOrEqual(2);
      expect(values.length, String(most)).toBeLessThanOrEqual(7);
      expect(values.at(-1), String(most)).toBeGreaterThanOrEqual(most * (1 - 1e-6) - 1e-9);
      values.forEach((value, nth) => expect(value, String(most)).toBeCloseTo(nth * step, 8));
    }
  });
});

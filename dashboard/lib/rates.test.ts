import { expect, it } from "vitest";

import { nextReading } from "@/lib/rates";

it("computes rates from the differences of two readings", () => {
  const first = nextReading(undefined, "a", { x: { requests: 100, failed: 4 } }, 1_000);
  expect(first.rates).toEqual({});
  const second = nextReading(first, "b", { x: { requests: 160, failed: 10 }, y: { requests: 7, failed: 0 } }, 4_000);
  expect([second.data, second.rates]).toEqual(["b", { x: { requests: 20, failed: 2 } }]);
});

it("has no rate after a restart of the server, nor without time between two readings", () => {
  const first = nextReading(undefined, "", { x: { requests: 100, failed: 4 } }, 1_000);
  expect(nextReading(first, "", { x: { requests: 5, failed: 0 } }, 4_000).rates).toEqual({});
  expect(nextReading(first, "", { x: { requests: 105, failed: 4 } }, 1_000).rates).toEqual({});
});

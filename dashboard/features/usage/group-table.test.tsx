import { screen } from "@testing-library/react";
import { describe, expect, it } from "vitest";

import { GroupTable } from "@/features/usage/group-table";
import { type Group, ranked } from "@/features/usage/series";
import { show } from "@/tests/render";

function group(name: string | null, spend: number, others: number | null = null): Group {
  const tokens = { input: 1, cached_input: 0, cache_write: 0, output: 0, reasoning: 0, total: 1 };
  const latency = { mean_ms: 100, p50_ms: null, p95_ms: null, p99_ms: null };
  const point = { at: "2026-11-21T00:00:00Z", requests: 1, credits: 1, tokens, cost: { amount_nano: spend, currency: "USD" }, unpriced_requests: 0, succeeded: 1, refused: 0, errors: 0, latency };
  return { name, key: null, other_groups: others, points: [point] };
}

describe("GroupTable", () => {
  it("shows refused requests in a column of their own, and no rate of failures without others", () => {
    const unknown = group(null, 0);
    for (const point of unknown.points) Object.assign(point, { requests: 0, succeeded: 0, refused: 3 });
    show(<GroupTable groups={[unknown]} by="model" measure="spend" currency="USD" onChoose={() => undefined} />);
    const cells = screen.getAllByRole<HTMLTableRowElement>("row")[1]?.cells ?? [];
    expect(Array.from(cells, (cell) => cell.textContent).slice(0, 5)).toEqual(["Model not recorded", "0", "3", "1", "–"]);
  });

  it("lists the sum of the others below all named groups, with a mark of its own", () => {
    const groups = ranked([group(null, 900, 4), ...Array.from({ length: 8 }, (_, nth) => group(`m${nth}`, 100 - nth))]);
    show(<GroupTable groups={groups} by="model" measure="spend" currency="USD" onChoose={() => undefined} />);
    const rows = screen.getAllByRole<HTMLTableRowElement>("row").slice(1);
    expect(rows.map((row) => row.cells[0]?.textContent)).toEqual(["m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "Other, 4", "All"]);
    const mark = (nth: number) => rows[nth]?.querySelector(".sw");
    expect(mark(8)).toHaveClass("rest");
    expect(mark(7)).not.toHaveClass("rest");
    expect(mark(7)).toHaveStyle({ background: "var(--c-other)" });
  });
});

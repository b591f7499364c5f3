import { fireEvent, screen } from "@testing-library/react";
import { expect, it, vi } from "vitest";

import { Comparison } from "@/features/usage/comparison";
import type { Point } from "@/features/usage/series";
import { SeriesFigure } from "@/features/usage/series-figure";
import { show } from "@/tests/render";
import { serve } from "@/tests/server";

const ROWS = [{ at: "2026-11-20T00:00:00Z", values: [1] }, { at: "2026-11-21T00:00:00Z", values: [2] }];

it("leads from a step to its time, also by the keyboard", () => {
  const onPick = vi.fn();
  show(<SeriesFigure heading="Requests per day" measure="requests" step="day" columns={[{ name: "all", colour: "red" }]} rows={ROWS} currency="USD" empty="" onPick={onPick} />);
  fireEvent.click(screen.getByRole("button", { name: "View as table" }));
  const [, newest, older] = screen.getAllByRole("row");
  fireEvent.click(older ?? document.body);
  fireEvent.keyDown(newest ?? document.body, { key: "Enter" });
  expect(onPick.mock.calls).toEqual([["2026-11-20T00:00:00Z"], ["2026-11-21T00:00:00Z"]]);
});

function points(...requests: number[]): Point[] {
  const tokens = { input: 0, cached_input: 0, cache_write: 0, output: 0, reasoning: 0, total: 0 };
  const latency = { mean_ms: null, p50_ms: null, p95_ms: null, p99_ms: null };
  return requests.map((count, nth) => ({ at: `2026-11-2${nth}T00:00:00Z`, requests: count, credits: 0, tokens, cost: { amount_nano: 0, currency: "USD" }, unpriced_requests: 0, succeeded: count, refused: 0, errors: 0, latency }));
}

it("compares whole steps with those of the period before", async () => {
  const before = { body: { since: "", until: "", step: "day", by: null, truncated: false, series: [{ name: null, key: null, other_groups: null, points: points(10, 10) }] } };
  const seen = serve({ "GET /api/usage/series": before });
  const { unmount } = show(<Comparison span={{ range: "7d", step: "day" }} scope="all" measure="requests" points={points(20, 5, 900)} />);
  expect(await screen.findByText("+25.0 % against the period before")).toHaveAttribute("title", "25; before: 20. Both exclude their last step, because the present step is not complete.");
  expect(seen).toHaveLength(1);
  unmount();
  serve({ "GET /api/usage/series": { body: { ...before.body, series: [{ ...before.body.series[0], points: points(0, 0) }] } } });
  show(<Comparison span={{ range: "7d", step: "day" }} scope="all" measure="requests" points={points(20, 5, 900)} />);
  expect(await screen.findByText("none in the period before")).toBeVisible();
});

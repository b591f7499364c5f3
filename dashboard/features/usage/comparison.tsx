"use client";

import { type Measure, type Point, type Span, totalOf, totalsOf } from "@/features/usage/series";
import { amountOf } from "@/features/usage/series-figure";
import { usePrevious } from "@/features/usage/use-series";
import { useFormat, useMessages } from "@/lib/language";

interface ComparisonProps {
  span: Span;
  scope: string;
  measure: Measure;
  /** The points of all groups. */
  points: readonly Point[];
}

/** The change of a measure against the period before, both without their last step, which is not over. */
export function Comparison({ span, scope, measure, points }: ComparisonProps) {
  const t = useMessages();
  const format = useFormat();
  const before = usePrevious(span, scope).data?.series[0]?.points;
  const last = points.reduce((latest, { at }) => (at > latest ? at : latest), "");
  const [now, then] = [totalOf(totalsOf(points.filter(({ at }) => at !== last)), measure), before ? totalOf(totalsOf(before), measure) : null];
  if (now === null || then === null || (now === 0 && then === 0)) return null;
  const currency = points[0]?.cost.currency ?? "USD";
  const text = (value: number): string => amountOf(value, measure, format, currency);
  const change = then === 0 ? undefined : now / then - 1;
  const sign = change !== undefined && change >= 0 ? "+" : "";
  return (
    <span className="t3 sm num" title={t.usage.comparedText(text(now), text(then))}>
      {change === undefined ? t.usage.noneBefore : t.usage.compared(`${sign}${format.percent(change)}`)}
    </span>
  );
}

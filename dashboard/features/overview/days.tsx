"use client";

import dynamic from "next/dynamic";
import { type ReactNode, useState } from "react";

import { Button } from "@/components/ui/button";
import type { DayPoint } from "@/components/ui/day-chart";
import { Empty, Failure } from "@/components/ui/states";
import type { Schemas } from "@/lib/api";
import { useFormat, useMessages } from "@/lib/language";
import { useHistory } from "@/lib/queries";

const DayChart = dynamic(() => import("@/components/ui/day-chart").then((module) => module.DayChart), {
  ssr: false,
  loading: () => <div className="h-[244px]" />,
});

export type Measure = "requests" | "tokens" | "spend";

/** The value of a measure on one day; money in whole units, because a chart needs no billionths. */
export function valueOf(day: Schemas["UsageOfDay"], measure: Measure): number {
  if (measure === "requests") return day.requests;
  if (measure === "tokens") return day.tokens.total;
  return day.cost.amount_nano / 1_000_000_000;
}

interface DaysProps {
  days: number;
  measure: Measure;
  heading: string;
  legend?: ReactNode;
}

/** One measure per day as bars, or as a table. */
export function Days({ days, measure, heading, legend }: DaysProps) {
  const t = useMessages();
  const format = useFormat();
  const history = useHistory(days);
  const [asTable, setAsTable] = useState(false);
  if (history.isError && !history.data) return <Failure error={history.error} onRetry={() => void history.refetch()} />;
  const list = history.data?.days ?? [];
  const currency = list[0]?.cost.currency ?? "USD";
  const text = (value: number): string => {
    if (measure !== "spend") return format.count(value);
    return value !== 0 && Math.abs(value) < 0.01
      ? format.exact({ amount_nano: Math.round(value * 1e9), currency })
      : format.total({ amount_nano: Math.round(value * 1e9), currency });
  };
  const points: DayPoint[] = list.map((day) => ({
    // A quota day is a UTC day, so its date is not moved into the reader's zone.
    label: format.utcDay(day.date),
    date: format.utcDate(day.date),
    value: valueOf(day, measure),
  }));
  const isEmpty = history.isSuccess && list.every((day) => day.requests === 0);
  const total = points.reduce((sum, point) => sum + point.value, 0);
  return (
    <>
      <div className="row wrap gap-x-4 gap-y-1.5 px-4 pt-3">
        <h2 className="md">{heading}</h2>
        {legend}
        <Button look="ghost" size="small" className="push" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
          {asTable ? t.overview.chart : t.overview.table}
        </Button>
      </div>
      {isEmpty && <Empty title={t.overview.noRequests} />}
      {!isEmpty && asTable && <DayTable points={points} label={heading} format={text} />}
      {!isEmpty && !asTable && (
        history.data ? <DayChart points={points} height={220} hasDecimals={measure === "spend"} format={text} summary={`${heading}: ${text(total)}`} /> : <ChartSkeleton />
      )}
    </>
  );
}

function DayTable({ points, label, format }: { points: DayPoint[]; label: string; format(value: number): string }) {
  const t = useMessages();
  return (
    <div className="tw max-h-[256px] overflow-y-auto">
      <table className="tbl dense" aria-label={label}>
        <thead>
          <tr>
            <th>{t.overview.date}</th>
            <th className="r">{label}</th>
          </tr>
        </thead>
        <tbody>
          {[...points].reverse().map((point) => (
            <tr key={point.date}>
              <td>{point.date}</td>
              <td className="r">{format(point.value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const BARS = ["h-1/3", "h-1/2", "h-2/3", "h-1/2", "h-3/4", "h-1/2", "h-2/5", "h-1/2", "h-2/3", "h-1/3", "h-3/4", "h-2/3", "h-1/2", "h-1/4"];

function ChartSkeleton() {
  return (
    <div className="flex h-[244px] items-end gap-3 px-6 pt-6 pb-8" aria-hidden>
      {BARS.map((height, at) => (
        <i key={at} className={`sk flex-1 ${height}`} />
      ))}
    </div>
  );
}

"use client";

import dynamic from "next/dynamic";

import type { Schemas } from "@/lib/api";
import { useFormat, useMessages } from "@/lib/language";

const HEIGHT = 130;
const SeriesChart = dynamic(() => import("@/components/ui/series-chart").then((module) => module.SeriesChart), {
  ssr: false,
  loading: () => <div className="h-[154px]" />,
});

/** The calls of a key by day, as bars. */
export function KeyChart({ days }: { days: Schemas["UsageOfDay"][] }) {
  const t = useMessages();
  const format = useFormat();
  const counts = days.map(({ requests }) => requests);
  const summary = t.keys.chart(format.count(counts.reduce((sum, count) => sum + count, 0)), format.count(Math.max(0, ...counts)));
  return (
    <SeriesChart
      kind="bars"
      columns={[{ name: t.keys.calls, colour: "var(--c-1)" }]}
      rows={days.map(({ date, requests, cost }) => ({ label: date.slice(5), title: `${date} · ${format.total(cost)}`, values: [requests] }))}
      height={HEIGHT}
      hasDecimals={false}
      summary={summary}
      format={(value) => format.count(value)}
      formatTick={(value) => format.count(value)}
    />
  );
}

"use client";

import { Bar, BarChart, CartesianGrid, Cell, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";

export interface DayPoint {
  /** The label on the axis. */
  label: string;
  /** The date in full, for the tooltip. */
  date: string;
  value: number;
}

interface DayChartProps {
  points: DayPoint[];
  height: number;
  /** Whether amounts between whole numbers exist. */
  hasDecimals: boolean;
  /** The text that replaces the chart for screen readers. */
  summary: string;
  format(value: number): string;
}

const AXIS = { fontSize: 11, fill: "var(--axis)" };

/** Amounts per day as bars, the last one being today. The focus moves from bar to bar with the arrow keys. */
export function DayChart({ points, height, hasDecimals, summary, format }: DayChartProps) {
  return (
    <figure className="overflow-hidden px-2 pt-4 pb-2" aria-label={summary}>
      <ResponsiveContainer width="100%" height={height}>
        <BarChart data={points} margin={{ top: 4, right: 12, bottom: 0, left: 0 }} barCategoryGap="26%">
          <CartesianGrid vertical={false} stroke="var(--grid)" />
          <XAxis dataKey="label" tick={AXIS} tickLine={false} axisLine={{ stroke: "var(--line-3)" }} interval="preserveStartEnd" minTickGap={28} />
          <YAxis tick={AXIS} tickLine={false} axisLine={false} tickFormatter={format} width="auto" allowDecimals={hasDecimals} tickCount={5} />
          <Tooltip cursor={{ fill: "var(--surface-3)" }} isAnimationActive={false} content={({ active, payload }) => <Tip point={active ? (payload[0]?.payload as DayPoint | undefined) : undefined} format={format} />} />
          <Bar dataKey="value" isAnimationActive={false} minPointSize={(value) => (value === 0 ? 0 : 1)}>
            {points.map((point, at) => (
              <Cell key={point.date} fill="var(--c-base)" fillOpacity={at === points.length - 1 ? 0.6 : 1} />
            ))}
          </Bar>
        </BarChart>
      </ResponsiveContainer>
    </figure>
  );
}

function Tip({ point, format }: { point: DayPoint | undefined; format(value: number): string }) {
  if (!point) return null;
  return (
    <div className="tipbox static">
      <h3>
        <span>{point.date}</span>
        <span>{format(point.value)}</span>
      </h3>
    </div>
  );
}

"use client";

import { clsx } from "clsx";
import type { ReactElement } from "react";
import { Bar, CartesianGrid, ComposedChart, Line, ResponsiveContainer, Tooltip, XAxis, YAxis } from "recharts";

import { type ChartColumn, type ChartRow, Swatch } from "@/components/ui/chart-parts";
import { ticksOf } from "@/components/ui/chart-ticks";

interface SeriesChartProps {
  /** Stacked bars for amounts, lines for durations. */
  kind: "bars" | "lines";
  columns: ChartColumn[];
  rows: ChartRow[];
  height: number;
  /** Whether amounts between whole numbers exist. */
  hasDecimals: boolean;
  /** The text that replaces the chart for screen readers. */
  summary: string;
  format(value: number): string;
  /** Chooses a step by its place; the table of the same steps is its equal for the keyboard. */
  onPick?: ((place: number) => void) | undefined;
  /** The label of a tick of the axis, of which two are `step` apart. */
  formatTick(value: number, step: number): string;
}

const AXIS = { fontSize: 11, fill: "var(--axis)" };
/** More bars have no gaps between their parts, because a gap would be as wide as a bar. */
const WIDE_BARS_MAX = 60;
const TOP = { top: 4, right: 12, bottom: 0, left: 0 };

/** Series over time. The focus moves from step to step with the arrow keys. */
export function SeriesChart({ kind, columns, rows, height, hasDecimals, summary, format, formatTick, onPick }: SeriesChartProps) {
  const ticks = ticksOf(mostOf(rows, kind), hasDecimals);
  // A bar reports its own place. Lines have only that of the pointer, which a tap may not have set yet.
  const pickLine = ({ activeTooltipIndex: place }: { activeTooltipIndex?: number | string | null | undefined }) => {
    if (kind === "lines" && place !== undefined && place !== null) onPick?.(Number(place));
  };
  // Steps without a label need no room on the axis.
  const hasGaps = rows.some(({ label }) => label === "");
  return (
    <figure className={clsx("overflow-hidden px-2 pt-4 pb-2", onPick && "[&_.recharts-wrapper]:cursor-pointer!")} aria-label={summary}>
      <ResponsiveContainer width="100%" height={height}>
        <ComposedChart onClick={pickLine} data={rows} margin={TOP} barCategoryGap={rows.length > WIDE_BARS_MAX ? 0.5 : "26%"}>
          <CartesianGrid vertical={false} stroke="var(--grid)" />
          <XAxis dataKey="label" tick={AXIS} tickLine={false} axisLine={{ stroke: "var(--line-3)" }} interval={hasGaps ? "preserveStart" : "equidistantPreserveStart"} minTickGap={hasGaps ? 4 : 28} />
          <YAxis tick={AXIS} tickLine={false} axisLine={false} tickFormatter={(value: number) => (value === 0 ? "0" : formatTick(value, ticks.step))} width="auto" ticks={ticks.values} domain={[0, ticks.values.at(-1) ?? 1]} interval={0} />
          <Tooltip
            cursor={{ stroke: "var(--text-3)" }}
            isAnimationActive={false}
            content={({ active, payload }) => <Tip row={active ? (payload[0]?.payload as ChartRow | undefined) : undefined} columns={columns} kind={kind} format={format} />}
          />
          {columns.map((column, nth) => (kind === "bars" ? bar(column, nth, { rows, columns: columns.length, onPick }) : line(column, nth, rows)))}
        </ComposedChart>
      </ResponsiveContainer>
    </figure>
  );
}

/** The height of the highest bar, or the largest value of a line. */
function mostOf(rows: ChartRow[], kind: "bars" | "lines"): number {
  const of = ({ values }: ChartRow): number => {
    const known = values.filter((value) => value !== null);
    return kind === "bars" ? known.reduce((sum, value) => sum + value, 0) : Math.max(0, ...known);
  };
  return Math.max(0, ...rows.map(of));
}

interface Bars extends Pick<SeriesChartProps, "rows" | "onPick"> {
  columns: number;
}

function bar({ name, colour, isHollow = false }: ChartColumn, nth: number, { rows, columns, onPick }: Bars): ReactElement {
  const hasGaps = columns > 1 && rows.length <= WIDE_BARS_MAX;
  const look = isHollow ? { fill: "var(--surface)", stroke: colour } : { fill: colour, ...(hasGaps && { stroke: "var(--surface)" }) };
  return (
    // An empty part would be drawn as its outline.
    <Bar key={name} name={name} dataKey={(row: ChartRow) => row.values[nth] || null} stackId="all" isAnimationActive={false} minPointSize={(value) => (value ? 1 : 0)} {...look} {...(onPick && { onClick: (_: unknown, place: number) => onPick(place) })} />
  );
}

function line({ name, colour }: ChartColumn, nth: number, rows: ChartRow[]): ReactElement {
  // A step between two without a value has no line, so it is a dot.
  const isAlone = (at: number): boolean => {
    const value = (row: ChartRow | undefined) => row?.values[nth] ?? null;
    return value(rows[at]) !== null && value(rows[at - 1]) === null && value(rows[at + 1]) === null;
  };
  return (
    <Line
      key={name}
      name={name}
      dataKey={(row: ChartRow) => row.values[nth]}
      type="linear"
      stroke={colour}
      strokeWidth={1.75}
      isAnimationActive={false}
      activeDot={{ r: 3, fill: colour, stroke: "var(--surface)" }}
      dot={({ cx, cy, index }: { cx?: number; cy?: number; index?: number }) => {
        const shown = index !== undefined && isAlone(index);
        return shown ? <circle key={index} cx={cx} cy={cy} r={2.5} fill={colour} /> : <g key={index} />;
      }}
    />
  );
}

interface TipProps {
  row: ChartRow | undefined;
  columns: ChartColumn[];
  kind: "bars" | "lines";
  format(value: number): string;
}

function Tip({ row, columns, kind, format }: TipProps) {
  if (!row) return null;
  const total = row.values.reduce<number>((sum, value) => sum + (value ?? 0), 0);
  const lines = columns.map((column, nth) => ({ column, value: row.values[nth] ?? null })).filter(({ value }) => value !== null && value !== 0);
  const hasTotal = kind === "bars" && (columns.length > 1 || lines.length === 0);
  return (
    <div className="tipbox static">
      <h3>
        <span>{row.title}</span>
        {(hasTotal || columns.length === 1) && <span>{format(total)}</span>}
      </h3>
      {columns.length > 1 && lines.length > 0 && (
        <dl>
          {lines.map(({ column, value }) => (
            <div key={column.name} className="contents">
              <Swatch column={column} />
              <dt className="trunc">{column.name}</dt>
              <dd>{format(value ?? 0)}</dd>
            </div>
          ))}
        </dl>
      )}
    </div>
  );
}

"use client";

import { createColumnHelper } from "@tanstack/react-table";
import dynamic from "next/dynamic";
import { type ReactNode, useState } from "react";

import { Button } from "@/components/ui/button";
import { type ChartRow, Swatch } from "@/components/ui/chart-parts";
import { DataTable } from "@/components/ui/data-table";
import type { Column, Measure, Row, Step } from "@/features/usage/series";
import { type Format, NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";

const SeriesChart = dynamic(() => import("@/components/ui/series-chart").then((module) => module.SeriesChart), {
  ssr: false,
  loading: () => <div className="h-[244px]" />,
});

const NANO = 1_000_000_000;
const HEIGHT = 220;
/** Shorter series name their steps by the time of day. */
const CLOCK_STEPS_MAX = 60;

interface SeriesFigureProps {
  heading: string;
  measure: Measure;
  step: Step;
  columns: Column[];
  /** `undefined` while the series is read. */
  rows: Row[] | undefined;
  currency: string;
  /** Takes the place of the chart if there is nothing to draw. */
  empty: ReactNode;
  /** A text beside the heading. */
  beside?: ReactNode;
  /** Chooses the time of a step. */
  onPick?: (at: string) => void;
  /** Controls beside the heading. */
  trailing?: ReactNode;
  /** Whether a list below the chart names the columns. */
  hasList?: boolean;
}

/** The text of an amount of a measure. */
export function amountOf(value: number, measure: Measure, format: Format, currency: string): string {
  if (measure === "latency") return value === 0 ? "0" : format.duration(value);
  if (measure !== "spend") return format.count(value);
  const money = { amount_nano: Math.round(value * NANO), currency };
  return value !== 0 && Math.abs(value) < 0.01 ? format.exact(money) : format.total(money);
}

/** The label of a tick. All ticks of an axis have as many decimals as its step needs. */
export function tickOf(value: number, { step, measure, currency }: { step: number; measure: Measure; currency: string }, format: Format): string {
  if (measure !== "spend") return amountOf(value, measure, format, currency);
  return format.tick({ amount_nano: Math.round(value * NANO), currency }, Math.round(step * NANO));
}

/** One measure over time as a chart, or as a table. */
export function SeriesFigure({ heading, measure, step, columns, rows, currency, empty, beside, onPick, trailing, hasList = false }: SeriesFigureProps) {
  const t = useMessages();
  const format = useFormat();
  const [asTable, setAsTable] = useState(false);
  const text = (value: number): string => amountOf(value, measure, format, currency);
  const isEmpty = rows?.every(({ values }) => values.every((value) => value === null || value === 0)) ?? false;
  const labelled = rows?.map((row): ChartRow => ({ ...labelsOf(row.at, step, rows.length, format), values: row.values }));
  const total = (rows ?? []).reduce((sum, { values }) => sum + values.reduce<number>((all, value, nth) => all + (columns[nth]?.isApart ? 0 : (value ?? 0)), 0), 0);
  const summary = measure === "latency" ? heading : `${heading}: ${text(total)}`;
  const pick = onPick && ((place: number) => rows?.[place] && onPick(rows[place].at));
  const hasLegend = columns.length > 1 && !hasList && !isEmpty;
  return (
    <>
      <div className="row wrap gap-x-4 gap-y-1.5 px-4 pt-3">
        <h2 className="md">{heading}</h2>
        {beside}
        {hasLegend && columns.map((column) => (
          <span key={column.name} className="key">
            <Swatch column={column} />
            {column.name}
          </span>
        ))}
        <div className="row wrap push">
          <Button look="ghost" size="small" aria-pressed={asTable} onClick={() => setAsTable(!asTable)}>
            {asTable ? t.overview.chart : t.overview.table}
          </Button>
          {trailing}
        </div>
      </div>
      {isEmpty && empty}
      {!isEmpty && !labelled && <ChartSkeleton />}
      {!isEmpty && labelled && asTable && <StepTable heading={heading} columns={columns} rows={labelled} format={text} onPick={pick} />}
      {!isEmpty && labelled && !asTable && (
        <SeriesChart kind={measure === "latency" ? "lines" : "bars"} columns={columns} rows={labelled} height={HEIGHT} hasDecimals={measure === "spend" || measure === "latency"} summary={summary} format={text} onPick={pick} formatTick={(value, size) => tickOf(value, { step: size, measure, currency }, format)} />
      )}
    </>
  );
}

/** A quota day is a UTC day, so a step of a day is not moved into the reader's zone; shorter steps are. */
function labelsOf(at: string, step: Step, steps: number, format: Format): { label: string; title: string } {
  if (step === "day") return { label: format.utcDay(at), title: format.utcDate(at) };
  const clock = format.clock(at);
  const title = `${format.day(at)}, ${clock}`;
  if (steps <= CLOCK_STEPS_MAX) return { label: clock, title };
  // Over several days, only the first hour of a day is named.
  return { label: clock.startsWith("00:") ? format.dayMonth(at) : "", title };
}

interface StepTableProps {
  heading: string;
  columns: Column[];
  rows: ChartRow[];
  format(value: number): string;
  onPick?: ((place: number) => void) | undefined;
}

const column = createColumnHelper<ChartRow>();

/** The steps as a table, the newest first. */
function StepTable({ heading, columns, rows, format, onPick }: StepTableProps) {
  const t = useMessages();
  const cells = columns.map(({ name }, nth) => column.display({
    id: String(nth),
    header: name,
    meta: { className: "r" },
    cell: ({ row: { original: { values } } }) => {
      const value = values[nth] ?? null;
      return value === null ? NONE : format(value);
    },
  }));
  const date = column.display({ id: "date", header: t.overview.date, cell: ({ row: { original } }) => original.title });
  return <DataTable label={heading} rows={[...rows].reverse()} columns={[date, ...cells]} rowHeight={34} isShort rowId={({ title }) => title} onOpen={onPick && ((row) => onPick(rows.indexOf(row)))} />;
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

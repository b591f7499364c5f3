"use client";

import { clsx } from "clsx";
import { useRouter } from "next/navigation";

import { Note } from "@/components/ui/note";
import { Empty, Failure } from "@/components/ui/states";
import { Segments } from "@/components/ui/tabs";
import { useScope } from "@/features/scope/use-scope";
import { Comparison } from "@/features/usage/comparison";
import { MEASURES, type Measure, type Row, emptyTitle, overallColumns, spanOf, stepBounds } from "@/features/usage/series";
import { SeriesFigure } from "@/features/usage/series-figure";
import { useSeries, useUsualRange } from "@/features/usage/use-series";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import type { Overview } from "@/lib/queries";
import { useUrlState } from "@/lib/url-state";

const RANGES = ["24h", "7d", "14d"] as const;

interface FigureTexts {
  label: string;
  title?: string;
  value: string;
  detail: string;
}

/** Today's figures; each one chooses the measure of the chart. */
export function Figures({ overview }: { overview: Overview | undefined }) {
  const t = useMessages();
  const { get, set } = useUrlState();
  const measure = MEASURES.find((name) => name === get("measure")) ?? "requests";
  const texts = useTexts(overview);
  return (
    <section className="panel" aria-label={t.overview.measure}>
      <div className="figs">
        {(["requests", "tokens", "spend", "errors", "latency"] as const).map((name) => (
          <button key={name} type="button" className={clsx("fig", name === measure && "on")} aria-pressed={name === measure} title={texts[name].title} onClick={() => set({ measure: name === "requests" ? "" : name })}>
            <Figure {...texts[name]} />
          </button>
        ))}
      </div>
      <OverTime measure={measure} />
    </section>
  );
}

function useTexts(overview: Overview | undefined): Record<Measure, FigureTexts> {
  const t = useMessages();
  const format = useFormat();
  const { today, errors, latency } = overview ?? {};
  const input = today ? today.tokens.input + today.tokens.cached_input + today.tokens.cache_write : 0;
  const rate = errors?.rate ?? null;
  return {
    requests: { label: t.overview.requests, title: t.overview.requestsHelp, value: today ? format.count(today.requests) : "", detail: t.overview.today },
    tokens: {
      label: t.overview.tokens,
      value: today ? format.count(today.tokens.total) : "",
      detail: today && input > 0 ? t.overview.cached(format.percent(today.tokens.cached_input / input, 0)) : t.overview.today,
    },
    spend: { label: t.overview.spend, value: today ? format.total(today.cost) : "", detail: t.overview.today },
    errors: {
      label: t.overview.errors,
      value: errors ? (rate === null ? NONE : format.percent(rate, 2)) : "",
      detail: errors ? t.overview.ofRequests(format.count(errors.today), format.count(errors.requests)) : "",
    },
    latency: {
      label: t.overview.latency,
      value: latency ? format.duration(latency.p95_ms) : "",
      detail: latency ? `${t.overview.p50(format.duration(latency.p50_ms))} · ${t.overview.newest(format.count(latency.requests))}` : "",
    },
  };
}

function Figure({ label, value, detail }: FigureTexts) {
  return (
    <>
      <span className="k">{label}</span>
      <span className="v">{value === "" ? <i className="sk my-2 w-16" /> : value}</span>
      <span className="d trunc">{detail}</span>
    </>
  );
}

/** A measure of all requests: per hour of the last day, or per day of the last week or two. */
function OverTime({ measure }: { measure: Measure }) {
  const t = useMessages();
  const format = useFormat();
  const { get, set } = useUrlState();
  const usual = useUsualRange();
  const range = RANGES.find((name) => name === get("range")) ?? usual;
  const span = spanOf(range, "", usual);
  const { scope } = useScope();
  const router = useRouter();
  const series = useSeries(span, undefined, scope);
  const current = series.data?.step === span.step ? series.data : undefined;
  const points = current && (current.series[0]?.points ?? []);
  const columns = overallColumns(measure, span.step, points ?? [], t);
  const rows = points?.map((point): Row => ({ at: point.at, values: columns.map(({ of }) => of(point)) }));
  if (series.isError && !current) return <Failure error={series.error} onRetry={() => void series.refetch()} />;
  const names = { spend: t.overview.spend, requests: t.overview.requests, tokens: t.overview.tokens, errors: t.overview.errors, latency: t.usage.latency };
  const choice = <Segments label={t.usage.range} value={range} onChange={(name) => set({ range: name === usual ? "" : name })} options={RANGES.map((name) => ({ name, label: t.usage.ranges[name] }))} />;
  return (
    <>
      {current?.truncated && (
        <div className="px-4 pt-3">
          <Note title={t.usage.truncated(format.moment(current.since))} />
        </div>
      )}
      <SeriesFigure
        heading={t.overview.over(names[measure], t.usage.per[span.step])}
        measure={measure}
        step={span.step}
        columns={columns.map(({ column }) => column)}
        rows={rows}
        currency={points?.[0]?.cost.currency ?? "USD"}
        empty={<Empty title={emptyTitle(measure, points?.some(({ requests }) => requests > 0) ?? false, t)} />}
        beside={points && <Comparison span={span} scope={scope} measure={measure} points={points} />}
        onPick={(at) => router.push(`/dashboard/usage?${new URLSearchParams({ ...stepBounds(at, span.step), scope: scope || "me" }).toString()}`)}
        trailing={choice}
      />
    </>
  );
}

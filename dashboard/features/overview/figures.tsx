"use client";

import { useState } from "react";
import { clsx } from "clsx";

import { Days, type Measure } from "@/features/overview/days";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import type { Overview } from "@/lib/queries";

const MEASURES = ["requests", "tokens", "spend"] as const;

/** Today's figures; three of them choose the measure of the chart. */
export function Figures({ overview }: { overview: Overview | undefined }) {
  const t = useMessages();
  const format = useFormat();
  const [measure, setMeasure] = useState<Measure>("requests");
  const today = overview?.today;
  const input = today ? today.tokens.input + today.tokens.cached_input + today.tokens.cache_write : 0;
  const texts: Record<Measure, [string, string, string]> = {
    requests: [t.overview.requests, today ? format.count(today.requests) : "", t.overview.today],
    tokens: [
      t.overview.tokens,
      today ? format.count(today.tokens.total) : "",
      today && input > 0 ? t.overview.cached(format.percent(today.tokens.cached_input / input, 0)) : t.overview.today,
    ],
    spend: [t.overview.spend, today ? format.total(today.cost) : "", t.overview.today],
  };
  const { errors, latency } = overview ?? {};
  return (
    <section className="panel" aria-label={t.overview.measure}>
      <div className="figs">
        {MEASURES.map((name) => {
          const [label, value, detail] = texts[name];
          return (
            <button key={name} type="button" className={clsx("fig", name === measure && "on")} aria-pressed={name === measure} onClick={() => setMeasure(name)}>
              <Figure label={label} value={value} detail={detail} />
            </button>
          );
        })}
        <div className="fig still">
          <Figure
            label={t.overview.errors}
            value={errors ? (errors.rate === null || errors.rate === undefined ? NONE : format.percent(errors.rate, 2)) : ""}
            detail={errors ? t.overview.ofRequests(format.count(errors.today), format.count(errors.requests)) : ""}
          />
        </div>
        <div className="fig still">
          <Figure
            label={t.overview.latency}
            value={latency ? format.duration(latency.p95_ms) : ""}
            detail={latency ? `${t.overview.p50(format.duration(latency.p50_ms))} · ${t.overview.newest(format.count(latency.requests))}` : ""}
          />
        </div>
      </div>
      <Days days={14} measure={measure} heading={t.overview.days(texts[measure][0])} />
    </section>
  );
}

function Figure({ label, value, detail }: { label: string; value: string; detail: string }) {
  return (
    <>
      <span className="k">{label}</span>
      <span className="v">{value === "" ? <i className="sk my-2 w-16" /> : value}</span>
      <span className="d trunc">{detail}</span>
    </>
  );
}

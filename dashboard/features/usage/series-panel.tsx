"use client";

import { useMemo, useState } from "react";

import { Button } from "@/components/ui/button";
import { CsvButton } from "@/components/ui/csv-button";
import { Note } from "@/components/ui/note";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { Segments } from "@/components/ui/tabs";
import { isWide, useScope } from "@/features/scope/use-scope";
import { Comparison } from "@/features/usage/comparison";
import { GroupTable } from "@/features/usage/group-table";
import { type By, MEASURES, type Measure, RANGES, RANGE_NAMES, type Range, type Span, type Step, columnsOf, emptyTitle, groupName, ranked, spanOf, stepBounds } from "@/features/usage/series";
import { SavedViews } from "@/features/usage/saved-views";
import { SeriesFigure } from "@/features/usage/series-figure";
import { seriesAsCsv, useSeries, useUsualRange } from "@/features/usage/use-series";
import { isLabelName } from "@/lib/labels";
import { useFormat, useMessages } from "@/lib/language";
import { useUrlState } from "@/lib/url-state";

const GROUPINGS: readonly By[] = ["model", "key", "route", "status"];
/** The groupings of the usage of several users. */
const WIDE_GROUPINGS: readonly By[] = ["user", "plan", "model", "key", "route", "status"];
/** The label that groups until the reader names another one. */
const USUAL_LABEL = "team";

interface Choice {
  span: Span;
  usual: Range;
  by: By;
  /** The grouping as the API names it: of labels, `label:team`. */
  asked: string;
  label: string;
  groupings: readonly By[];
  scope: string;
  measure: Measure;
  set(changes: Record<string, string>): void;
}

/** The choice of the reader, which is in the address; the usual values are left out. */
function useChoice(): Choice {
  const { get, set } = useUrlState();
  const usual = useUsualRange();
  const { scope } = useScope();
  const span = spanOf(get("range"), get("step"), usual);
  // Totals by label are stored by day.
  const steps: readonly Step[] = RANGES[span.range];
  const groupings: readonly By[] = [...(isWide(scope) ? WIDE_GROUPINGS : GROUPINGS), ...(steps.includes("day") ? ["label" as const] : [])];
  const by = groupings.find((name) => name === get("by")) ?? "model";
  const label = isLabelName(get("label")) ? get("label") : USUAL_LABEL;
  return {
    groupings,
    scope,
    span: by === "label" ? { ...span, step: "day" } : span,
    usual,
    by,
    label,
    asked: by === "label" ? `label:${label}` : by,
    measure: MEASURES.find((name) => name === get("measure")) ?? "spend",
    set,
  };
}

/** Usage over time by model, key or route, with the same figures as a table. */
export function SeriesPanel() {
  const t = useMessages();
  const format = useFormat();
  const choice = useChoice();
  const { span, by, asked, groupings, scope, measure, set } = choice;
  const series = useSeries(span, asked, scope);
  const { data } = series;
  // The series of another grouping stays until this one is read; its groups would get wrong names.
  const current = data?.by === asked && data.step === span.step ? data : undefined;
  const names = { spend: t.overview.spend, requests: t.overview.requests, tokens: t.overview.tokens, errors: t.overview.errors, latency: t.usage.latency };
  const currency = current?.series[0]?.points[0]?.cost.currency ?? "USD";
  const groups = useMemo(() => ranked(current?.series ?? []), [current]);
  const shown = current && columnsOf(groups, measure, (group) => groupName(group, by, t, format.count), (count) => t.usage.others(format.count(count)));
  const pick = (at: string) => {
    set({ when: "", ...stepBounds(at, span.step) });
    document.getElementById("requests")?.scrollIntoView({ block: "start" });
  };
  const heading = t.usage.over(names[measure], t.usage.per[span.step], t.usage.groups[by]);
  return (
    <>
      <Controls choice={choice} />
      <section className="panel" aria-label={heading}>
        <div className="ph flex-wrap">
          <Segments label={t.usage.measure} value={measure} onChange={(name) => set({ measure: name === "spend" ? "" : name })} options={MEASURES.map((name) => ({ name, label: names[name] }))} />
          <div className="push row">
            {by === "label" && <LabelName key={choice.label} choice={choice} />}
            <Segments label={t.usage.groupBy} value={by} onChange={(name) => set({ by: name === "model" ? "" : name })} options={groupings.map((name) => ({ name, label: t.usage.group[name] }))} />
          </div>
        </div>
        {series.isError && !current ? <Failure error={series.error} onRetry={() => void series.refetch()} /> : (
          <>
            {current?.truncated && (
              <div className="px-4">
                <Note title={t.usage.truncated(format.moment(current.since))} />
              </div>
            )}
            <SeriesFigure heading={heading} measure={measure} step={span.step} columns={shown?.columns ?? []} rows={shown?.rows} currency={currency} empty={<NothingDrawn choice={choice} hasRequests={groups.length > 0} />} beside={current && <Comparison span={span} scope={scope} measure={measure} points={current.series.flatMap(({ points }) => points)} />} onPick={pick} hasList />
            {!current && <SkeletonRows rows={5} />}
            {groups.length > 0 && <GroupTable groups={groups} by={by} measure={measure} currency={currency} onChoose={(filter) => set(filter)} />}
          </>
        )}
      </section>
    </>
  );
}

/** The name of the label that groups usage; it applies when the reader leaves the field or presses Enter. */
function LabelName({ choice: { label, set } }: { choice: Choice }) {
  const t = useMessages();
  const [name, setName] = useState(label);
  const apply = () => {
    if (isLabelName(name)) set({ label: name === USUAL_LABEL ? "" : name });
    else setName(label);
  };
  return (
    <input
      className="in mono h-8 w-32"
      aria-label={t.usage.labelName}
      value={name}
      onChange={(event) => setName(event.target.value.trim())}
      onBlur={apply}
      onKeyDown={(event) => event.key === "Enter" && apply()}
    />
  );
}

/** Daily totals of keys have neither errors nor durations; otherwise the range has no requests, or none with this measure. */
function NothingDrawn({ choice: { span, by, measure, set }, hasRequests }: { choice: Choice; hasRequests: boolean }) {
  const t = useMessages();
  if (by === "key" && span.step === "day" && (measure === "errors" || measure === "latency")) {
    return (
      <Empty title={t.usage.notCounted} action={<Button onClick={() => set({ range: "7d", step: "hour" })}>{t.usage.showHours}</Button>}>
        {t.usage.notCountedText}
      </Empty>
    );
  }
  const wider = span.range === "30d" ? undefined : <Button onClick={() => set({ range: "30d", step: "" })}>{t.usage.show30}</Button>;
  return <Empty title={emptyTitle(measure, hasRequests, t)} action={measure === "errors" || hasRequests ? undefined : wider} />;
}

function Controls({ choice: { span, usual, by, asked, scope, set } }: { choice: Choice }) {
  const t = useMessages();
  const { range, step } = span;
  const steps: readonly Step[] = RANGES[range];
  return (
    <div className="row wrap">
      <Segments label={t.usage.range} value={range} onChange={(name) => set({ range: name === usual ? "" : name, step: "" })} options={RANGE_NAMES.map((name) => ({ name, label: t.usage.ranges[name] }))} />
      {steps.length > 1 && by !== "label" && (
        <Segments label={t.usage.step} value={step} onChange={(name) => set({ step: name === steps[0] ? "" : name })} options={steps.map((name) => ({ name, label: t.usage.steps[name] }))} />
      )}
      <div className="row push">
        <SavedViews />
        <CsvButton name={`usage-by-${by}-${range}-per-${step}.csv`} read={() => seriesAsCsv(span, asked, scope)} />
      </div>
    </div>
  );
}

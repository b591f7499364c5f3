"use client";

import { Download } from "lucide-react";
import { useState } from "react";

import { Button } from "@/components/ui/button";
import { FailedNote } from "@/components/ui/failed-note";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { ClassTable } from "@/features/day/class-table";
import { DayCharts } from "@/features/day/day-charts";
import { Rows } from "@/features/day/rows";
import { type Brief, useBrief, useExport, useIngestStatus, useRoi } from "@/features/day/use-day";
import { Shell } from "@/features/frame/shell";
import { type Format, NONE } from "@/lib/format";
import { isLabel } from "@/lib/labels";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";
import { useUrlState } from "@/lib/url-state";
import type { Messages } from "@/messages/en";

/** A day explained: the progress of its usage, its cost, the classes, the changes and the savings. */
export function DayPage() {
  const t = useMessages();
  const { get, set } = useUrlState();
  const day = get("day");
  const today = useNow().toISOString().slice(0, "2026-01-01".length);
  const label = isLabel(get("label")) ? get("label") : "";
  const id = day === "" ? "today" : day;
  const briefId = label === "" ? id : `${id}~${label}`;
  // The panels below the brief would move when it is drawn.
  const isRead = !useBrief(briefId).isPending;
  return (
    <Shell page="day">
      <section className="panel" aria-labelledby="brief">
        <div className="ph flex-wrap">
          <h2 id="brief">{t.day.title}</h2>
          <TeamFilter key={label} label={label} onChoose={(chosen) => set({ label: chosen })} />
          <label className="row">
            <span className="t2 sm">{t.day.day}</span>
            <input className="in h-8" type="date" value={day === "" ? today : day} max={today} onChange={(event) => set({ day: event.target.value === today ? "" : event.target.value })} />
          </label>
        </div>
        <BriefOf id={briefId} label={label} isToday={id === "today"} />
      </section>
      {isRead && <Savings />}
      {isRead && <Progress />}
    </Shell>
  );
}

/** The label, such as `team=payments`, whose usage the brief explains; it applies when the reader leaves the field or presses Enter. */
function TeamFilter({ label, onChoose }: { label: string; onChoose(label: string): void }) {
  const t = useMessages();
  const [text, setText] = useState(label);
  const isWrong = text !== "" && !isLabel(text);
  const apply = () => {
    if (!isWrong && text !== label) onChoose(text);
  };
  return (
    <label className="row push">
      <span className="t2 sm">{t.day.label}</span>
      <input
        className="in mono h-8 w-44"
        placeholder={t.day.labelHint}
        aria-invalid={isWrong}
        value={text}
        onChange={(event) => setText(event.target.value.trim())}
        onBlur={apply}
        onKeyDown={(event) => event.key === "Enter" && apply()}
      />
    </label>
  );
}

function BriefOf({ id, label, isToday }: { id: string; label: string; isToday: boolean }) {
  const t = useMessages();
  const brief = useBrief(id);
  if (brief.isPending) return <SkeletonRows rows={8} />;
  if (!brief.data) return <Failure error={brief.error} onRetry={() => void brief.refetch()} />;
  if (brief.data.spend.requests === 0 && brief.data.spend.refused === 0) return <Empty title={t.day.none}>{t.day.noneText}</Empty>;
  return (
    <>
      <BriefFigures brief={brief.data} />
      <ClassTable brief={brief.data} label={label} isToday={isToday} />
      <BriefChanges brief={brief.data} />
      <DayCharts id={id} />
    </>
  );
}

function BriefFigures({ brief }: { brief: Brief }) {
  const t = useMessages();
  const format = useFormat();
  const { spend, latency } = brief;
  const facts: [string, string][] = [
    [t.day.cost, format.exact(spend.cost)],
    [t.day.ownCost, format.exact(spend.own_cost)],
    [t.day.yesterday, format.exact(spend.yesterday)],
    [t.day.sameWeekday, format.exact(spend.same_weekday)],
    [t.day.requests, format.count(spend.requests)],
    [t.day.tokens, format.count(spend.tokens)],
    [t.day.unpriced, format.count(spend.unpriced_requests)],
    [t.day.failed, format.count(brief.errors.requests)],
    [t.day.refused, format.count(spend.refused)],
    [t.day.p95, latency.p95_ms == null ? NONE : format.duration(latency.p95_ms)],
    [t.day.forecast, forecastOf(brief.forecast, t, format)],
    [t.day.state, brief.complete ? t.day.complete : t.day.incomplete],
  ];
  return (
    <>
      <div className="row wrap pad">
        <p>{headlineOf(brief, t, format)}</p>
        <ExportButton id={brief.id} />
      </div>
      <dl className="dl wide pad">
        {facts.map(([name, value]) => (
          <div key={name} className="contents">
            <dt>{name}</dt>
            <dd className="num">{value}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}

/** The cost of the day in words. A day of comparison without a cost says nothing. */
function headlineOf({ spend, classes }: Brief, t: Messages, format: Format): string {
  const { cost, same_weekday: before } = spend;
  const [largest] = [...classes].sort((one, other) => other.requests - one.requests);
  const difference = { amount_nano: Math.abs(cost.amount_nano - before.amount_nano), currency: cost.currency };
  const compared = before.amount_nano === 0 || difference.amount_nano === 0 ? "" : t.day.compared[cost.amount_nano < before.amount_nano ? "less" : "more"](format.exact(difference));
  const most = largest && largest.requests > 0 ? t.day.mostly(format.count(largest.requests), format.count(spend.requests), t.day.classNames[largest.class] ?? largest.class) : "";
  return `${t.day.spent(format.exact(cost))}${compared}${most}.`;
}

/** The code of a refusal or failure, or the status of responses of upstreams. */
function codeOf(code: string, t: Messages): string {
  return code.startsWith("status_") ? t.day.status(code.slice("status_".length)) : code;
}

/** A text of the server as a sentence. */
function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The cost of the month that is expected, with its interval. */
function forecastOf({ cost, low, high, reason }: Brief["forecast"], t: Messages, format: Format): string {
  if (!cost) return reason ? sentence(reason) : NONE;
  return low && high ? t.day.between(format.exact(cost), format.exact(low), format.exact(high)) : format.exact(cost);
}

/** What changed, what failed, what could be saved, and what looks wrong. */
function BriefChanges({ brief }: { brief: Brief }) {
  const t = useMessages();
  const format = useFormat();
  const { currency } = brief.spend.cost;
  const money = (nano: number) => format.exact({ amount_nano: nano, currency });
  return (
    <>
      <Rows label={t.day.movers} head={[t.day.model, t.day.difference, t.day.volume, t.day.price, t.day.mix]} narrow={["", "x3", "x3", "x3"]} rows={brief.movers.map((of) => [of.name, money(of.difference), money(of.volume), money(of.price), money(of.mix)])} />
      <Rows label={t.day.errors} head={[t.day.code, t.day.requests]} rows={brief.errors.by_code.map((of) => [codeOf(of.code, t), format.count(of.requests)])} />
      <Rows label={t.day.recommendations} head={[t.day.recommendation, t.day.saves]} rows={brief.recommendations.map((of) => [sentence(of.text), of.saves ? format.exact(of.saves) : NONE])} />
      <ul className="pad">
        {brief.anomalies.map((of) => <li key={of.measure}>{sentence(of.text)}</li>)}
        {brief.anomalies_reason && <li className="t3 sm">{t.day.noAnomalies(brief.anomalies_reason)}</li>}
      </ul>
    </>
  );
}

/** Downloads the evidence of the day, which `tollgate verify` checks. */
function ExportButton({ id }: { id: string }) {
  const t = useMessages();
  const file = useExport();
  return (
    <div className="push">
      <Button disabled={file.isPending} title={t.day.exportHelp} onClick={() => file.mutate(id)}>
        <Download className="i" aria-hidden />
        {t.day.export}
      </Button>
      <FailedNote title={t.day.exportFailed} error={file.error} />
    </div>
  );
}

function Savings() {
  const t = useMessages();
  const format = useFormat();
  const roi = useRoi();
  return (
    <section className="panel" aria-labelledby="savings">
      <div className="ph"><h2 id="savings">{t.day.savings}</h2></div>
      {roi.isPending && <SkeletonRows rows={2} />}
      {roi.isError && !roi.data && <Failure error={roi.error} onRetry={() => void roi.refetch()} />}
      {roi.data && (
        <ul className="pad">
          <li>{t.day.saved(format.exact(roi.data.total_saved), format.exact(roi.data.spent))}</li>
          {roi.data.own_cost.amount_nano > 0 && <li>{t.day.ownSpent(format.exact(roi.data.own_cost))}</li>}
          {roi.data.saved.map((of) => <li key={of.kind} className="t2 sm">{of.formula}</li>)}
          {roi.data.not_counted.map((of) => <li key={of.kind} className="t3 sm">{t.day.notCounted(of.reason, format.count(of.requests))}</li>)}
        </ul>
      )}
    </section>
  );
}

function Progress() {
  const t = useMessages();
  const format = useFormat();
  const status = useIngestStatus();
  return (
    <section className="panel" aria-labelledby="progress">
      <div className="ph"><h2 id="progress">{t.day.progress}</h2></div>
      {status.isPending && <SkeletonRows rows={2} />}
      {status.isError && !status.data && <Failure error={status.error} onRetry={() => void status.refetch()} />}
      {status.data && <p className="pad">{t.day.stored(format.count(status.data.stored), format.count(status.data.spooled), format.duration(status.data.lag_ms))}</p>}
    </section>
  );
}

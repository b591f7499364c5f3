import type { Schemas } from "@/lib/api";
import type { Messages } from "@/messages/en";

export type Series = Schemas["UsageSeries"];
export type Group = Schemas["UsageSeriesGroup"];
export type Point = Schemas["UsageSeriesPoint"];
export type Step = "minute" | "hour" | "day";
export type By = "model" | "key" | "route" | "user" | "plan" | "status" | "label";

/** The steps that a range may have, the usual one first. */
export const RANGES = { "1h": ["minute"], "24h": ["hour"], "7d": ["day", "hour"], "14d": ["day"], "30d": ["day"], "90d": ["day"] } as const satisfies Record<string, readonly Step[]>;
export type Range = keyof typeof RANGES;
export const RANGE_NAMES = Object.keys(RANGES) as Range[];

export const MEASURES = ["spend", "requests", "tokens", "errors", "latency"] as const;
export type Measure = (typeof MEASURES)[number];

/** Groups with a colour of their own; the others share one. */
const COLOURS_MAX = 6;
const STEP_MS: Record<Step, number> = { minute: 60_000, hour: 3_600_000, day: 86_400_000 };
const RANGE_MS: Record<Range, number> = { "1h": 3_600_000, "24h": 86_400_000, "7d": 7 * 86_400_000, "14d": 14 * 86_400_000, "30d": 30 * 86_400_000, "90d": 90 * 86_400_000 };
const NANO = 1_000_000_000;

export interface Span {
  range: Range;
  step: Step;
}

/** Range and step as the address has them; what does not exist becomes the usual one. */
export function spanOf(range: string, step: string, usual: Range): Span {
  const chosen = RANGE_NAMES.find((name) => name === range) ?? usual;
  const steps: readonly Step[] = RANGES[chosen];
  return { range: chosen, step: steps.find((name) => name === step) ?? steps[0] ?? "day" };
}

const YOUNG_MS = 2 * 86_400_000;
const WEEK_MS = 7 * 86_400_000;

/** The range that shows all use of a young account without two weeks of empty days. */
export function usualRange(createdAt: string | undefined, now: Date): "24h" | "7d" | "14d" {
  const age = createdAt === undefined ? WEEK_MS : now.getTime() - new Date(createdAt).getTime();
  if (age < YOUNG_MS) return "24h";
  return age < WEEK_MS ? "7d" : "14d";
}

/** The start of the first step, so that the range ends with the current step. */
export function sinceOf({ range, step }: Span, now: Date): Date {
  const length = STEP_MS[step];
  const steps = RANGE_MS[range] / length;
  return new Date((Math.floor(now.getTime() / length) - (steps - 1)) * length);
}

/** The period of the same length before, without its last step: of the range, the last step is not over. */
export function previousOf(span: Span, now: Date): { since: string; until: string } {
  const since = sinceOf(span, now).getTime();
  return { since: new Date(since - RANGE_MS[span.range]).toISOString(), until: new Date(since - STEP_MS[span.step]).toISOString() };
}

/** The bounds of the step that begins at this time. */
export function stepBounds(at: string, step: Step): { since: string; until: string } {
  const start = Date.parse(at);
  return { since: new Date(start).toISOString(), until: new Date(start + STEP_MS[step]).toISOString() };
}

/** A measure of a step; money in whole units, because a chart needs no billionths. `null` is unknown. */
export function valueOf(point: Point, measure: Measure): number | null {
  switch (measure) {
    case "spend":
      return point.cost.amount_nano / NANO;
    case "requests":
      return point.requests;
    case "tokens":
      return point.tokens.total;
    case "errors":
      return point.errors ?? null;
    case "latency":
      return point.latency.p95_ms ?? point.latency.mean_ms ?? null;
  }
}

/** The amount that budgets count beside the known cost, for calls of unknown cost, in billionths. */
export function reservedOf({ charged, cost }: Pick<Schemas["UsageFigures"], "charged" | "cost">): number {
  return Math.max(0, (charged?.amount_nano ?? cost.amount_nano) - cost.amount_nano);
}

export interface Column {
  name: string;
  /** A token of the theme. */
  colour: string;
  /** Refused requests are hollow, because nothing passed. */
  isHollow?: boolean;
  /** Whether the values are beside the measure, and not a part of its total. A column without values is not shown. */
  isApart?: boolean;
}

/** The values of one step, in the order of the columns. */
export interface Row {
  at: string;
  values: (number | null)[];
}

/** The groups by cost, then by requests; the rest last. The order, and so the colour of a group, is that of every measure. */
export function ranked(groups: readonly Group[]): Group[] {
  const totals = new Map(groups.map((group) => [group, totalsOf(group.points)]));
  const of = (group: Group, name: "spendNano" | "requests"): number => totals.get(group)?.[name] ?? 0;
  return [...groups].sort((a, b) => Number(isRest(a)) - Number(isRest(b)) || of(b, "spendNano") - of(a, "spendNano") || of(b, "requests") - of(a, "requests"));
}

/** The colour of a group, by its place among the ranked ones. */
export function colourOf(groups: readonly Group[], group: Group): string {
  const place = groups.indexOf(group);
  return isRest(group) || place >= COLOURS_MAX ? "var(--c-other)" : `var(--c-${place + 1})`;
}

/** Whether a group is the sum of all groups that the response does not name. */
export function isRest(group: Group): boolean {
  return group.other_groups !== null && group.other_groups !== undefined;
}

/** One column per group with a colour of its own; the rest is one column, except for durations, which have no sum. */
export function columnsOf(groups: readonly Group[], measure: Measure, nameOf: (group: Group) => string, others: (count: number) => string): { columns: Column[]; rows: Row[] } {
  const own = groups.filter((group, place) => !isRest(group) && place < COLOURS_MAX);
  const rest = measure === "latency" ? [] : groups.filter((group) => !own.includes(group));
  const count = rest.reduce((sum, group) => sum + (group.other_groups ?? 1), 0);
  const columns: Column[] = own.map((group) => ({ name: nameOf(group), colour: colourOf(groups, group) }));
  if (rest.length > 0) columns.push({ name: others(count), colour: "var(--c-other)" });
  const steps = groups[0]?.points ?? [];
  const rows = steps.map(({ at }, nth): Row => {
    const of = (group: Group): number | null => {
      const point = group.points[nth];
      return point ? valueOf(point, measure) : null;
    };
    const values = own.map(of);
    if (rest.length > 0) values.push(sum(rest.map(of)));
    return { at, values };
  });
  return { columns, rows };
}

/** The sum of what is known; `null` if nothing is. */
function sum(values: readonly (number | null | undefined)[]): number | null {
  const known = values.filter((value): value is number => value !== null && value !== undefined);
  return known.length === 0 ? null : known.reduce((all, value) => all + value, 0);
}

export interface Totals {
  requests: number;
  tokens: number;
  spendNano: number;
  unpriced: number;
  succeeded: number | null;
  refused: number | null;
  errors: number | null;
  /** The mean duration, weighted by requests. */
  meanMs: number | null;
}

export function totalsOf(points: readonly Point[]): Totals {
  const all = (read: (point: Point) => number): number => points.reduce((total, point) => total + read(point), 0);
  const timed = points.filter((point) => point.latency.mean_ms !== null && point.latency.mean_ms !== undefined && point.requests > 0);
  const weight = timed.reduce((total, point) => total + point.requests, 0);
  const duration = timed.reduce((total, point) => total + point.requests * (point.latency.mean_ms ?? 0), 0);
  return {
    requests: all((point) => point.requests),
    tokens: all((point) => point.tokens.total),
    spendNano: all((point) => point.cost.amount_nano),
    unpriced: all((point) => point.unpriced_requests),
    succeeded: sum(points.map((point) => point.succeeded)),
    refused: sum(points.map((point) => point.refused)),
    errors: sum(points.map((point) => point.errors)),
    meanMs: weight === 0 ? null : duration / weight,
  };
}

/** A measure of a whole period, in the units of a step; of durations the mean. `null` is unknown. */
export function totalOf({ spendNano, requests, tokens, errors, meanMs }: Totals, measure: Measure): number | null {
  return { spend: spendNano / NANO, requests, tokens, errors, latency: meanMs }[measure];
}

/** The share of failed requests among those that succeeded or failed; refused requests are in neither. */
export function failureRate({ succeeded, errors }: Pick<Totals, "succeeded" | "errors">): number | null {
  if (succeeded === null || errors === null || succeeded + errors === 0) return null;
  return errors / (succeeded + errors);
}

/** The results of requests, as the API names them. */
const RESULT_NAMES = ["succeeded", "refused", "failed"] as const;

function resultName(name: string | null | undefined, t: Messages): string {
  const known = RESULT_NAMES.find((result) => result === name);
  return known ? t.usage[known] : t.usage.unknown.status;
}

/** The name of a group in tables, legends and tooltips. */
export function groupName(group: Group, by: By, t: Messages, count: (value: number) => string): string {
  if (group.other_groups !== null && group.other_groups !== undefined) return t.usage.others(count(group.other_groups));
  if (group.key) return group.key.label;
  if (by === "status") return resultName(group.name, t);
  return group.name ?? t.usage.unknown[by];
}

/** A column with its value of a step. */
export interface OverallColumn {
  column: Column;
  of(point: Point): number | null;
}

/** The columns of all requests together, for the overview. */
export function overallColumns(measure: Measure, step: Step, points: readonly Point[], t: Messages): OverallColumn[] {
  return measureColumns(measure, step, t).filter(({ column, of }) => !column.isApart || points.some((point) => (of(point) ?? 0) > 0));
}

function measureColumns(measure: Measure, step: Step, t: Messages): OverallColumn[] {
  const failed = { column: { name: t.usage.failed, colour: "var(--bad-mark)" }, of: ({ errors }: Point) => errors ?? null };
  const refused = { column: { name: t.usage.refused, colour: "var(--text-3)", isHollow: true }, of: (point: Point) => point.refused ?? null };
  const { input, cached_input: cached, output, reasoning } = t.usage.classes;
  switch (measure) {
    case "spend":
      return [
        { column: { name: t.overview.spend, colour: "var(--c-base)" }, of: (point) => valueOf(point, "spend") },
        { column: { name: t.overview.reservedName, colour: "var(--text-3)", isHollow: true, isApart: true }, of: (point) => reservedOf(point) / NANO },
      ];
    case "requests":
      return [{ column: { name: t.usage.succeeded, colour: "var(--c-base)" }, of: (point) => point.succeeded ?? null }, failed, refused];
    case "tokens":
      return [
        { column: { name: input ?? "", colour: "var(--c-1)" }, of: ({ tokens }) => tokens.input },
        { column: { name: cached ?? "", colour: "var(--c-3)" }, of: ({ tokens }) => tokens.cached_input },
        { column: { name: t.usage.cacheWrite, colour: "var(--c-2)" }, of: ({ tokens }) => tokens.cache_write },
        { column: { name: output ?? "", colour: "var(--c-5)" }, of: ({ tokens }) => tokens.output },
        { column: { name: reasoning ?? "", colour: "var(--c-4)" }, of: ({ tokens }) => tokens.reasoning },
      ];
    case "errors":
      return [failed];
    case "latency":
      if (step === "day") return [{ column: { name: t.usage.mean, colour: "var(--c-1)" }, of: ({ latency }) => latency.mean_ms ?? null }];
      return [
        { column: { name: "p50", colour: "var(--c-1)" }, of: ({ latency }) => latency.p50_ms ?? null },
        { column: { name: "p95", colour: "var(--c-5)" }, of: ({ latency }) => latency.p95_ms ?? null },
      ];
  }
}

/** The words in place of a chart of a measure that is 0 in the whole range; requests may cost nothing. */
export function emptyTitle(measure: Measure, hasRequests: boolean, t: Messages): string {
  if (measure === "errors") return t.usage.noErrors;
  if (!hasRequests || measure === "requests") return t.usage.noRequests;
  return { spend: t.usage.noSpend, tokens: t.usage.noTokens, latency: t.usage.noLatency }[measure];
}

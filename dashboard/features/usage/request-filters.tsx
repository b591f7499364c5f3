"use client";

import { X } from "lucide-react";

import { Button } from "@/components/ui/button";
import { SearchField } from "@/components/ui/search-field";
import { Segments } from "@/components/ui/tabs";
import { useScope } from "@/features/scope/use-scope";
import { PeriodFilter } from "@/features/usage/period-filter";
import type { Filters } from "@/features/usage/use-requests";
import { useMessages } from "@/lib/language";
import { periodOf } from "@/lib/period";
import { useOverview } from "@/lib/queries";
import { useSettled } from "@/lib/settled";
import { useUrlState } from "@/lib/url-state";

/** The results of requests, by which the list is filtered; the API accepts them as statuses. */
const STATUSES = ["", "succeeded", "refused", "failed"] as const;
/** The kinds of requests. */
const KINDS = ["", "llm", "route"] as const;
/** The changes of the address that remove all filters. */
export const NO_FILTERS = { status: "", key: "", model: "", kind: "", route: "", q: "", when: "", since: "", until: "" };

/** The filters of the address, and whether there are any. A text is a filter once its reader stops typing. */
export function useFilters(): { filters: Filters; isFiltered: boolean } {
  const { get } = useUrlState();
  const { scope } = useScope();
  const text = useSettled(get("q").trim());
  const period = periodOf(get);
  const named = { status: STATUSES.find((name) => name === get("status")) ?? "", key: get("key"), model: get("model"), kind: KINDS.find((name) => name === get("kind")) ?? "", route: get("route"), text };
  const isFiltered = [...Object.values(named), ...Object.values(period)].some((filter) => filter !== "");
  return { filters: { ...named, period, scope }, isFiltered };
}

/** The filters of the list of requests: time, text, kind, result, key and model. */
export function RequestFilters({ filters }: { filters: Filters }) {
  const t = useMessages();
  const { get, set } = useUrlState();
  const { kind, status, route, period } = filters;
  return (
    <div className="ph flex-wrap">
      <SearchField label={t.requests.search} value={get("q")} onChange={(q) => set({ q })} />
      <PeriodFilter period={period} onChange={set} />
      {route !== "" && (
        <Button size="small" className="min-w-0 max-w-60" onClick={() => set({ route: "" })} title={`${t.usage.filterRoute(route)}: ${t.requests.clear}`}>
          <bdi className="trunc">{t.usage.filterRoute(route)}</bdi> <X className="i s" aria-hidden />
        </Button>
      )}
      <Segments label={t.usage.filterKind} value={kind} onChange={(name) => set(name === "route" ? { kind: name, model: "" } : { kind: name })} options={KINDS.map((name) => ({ name, label: t.usage.kinds[name] }))} />
      <Segments label={t.usage.filterStatus} value={status} onChange={(name) => set({ status: name })} options={STATUSES.map((name) => ({ name, label: t.usage.statuses[name] }))} />
      <Choices filters={filters} onChange={set} />
    </div>
  );
}

/** The choice of a key and of a model, from those that the user used this month. */
function Choices({ filters, onChange }: { filters: Filters; onChange(changes: Record<string, string>): void }) {
  const t = useMessages();
  const overview = useOverview(filters.scope).data;
  const keys = (overview?.keys ?? []).map((key): [string, string] => [key.id, `${key.label} …${key.last4}`]);
  const models = (overview?.models ?? []).flatMap(({ model }): [string, string][] => (model ? [[model, model]] : []));
  return (
    <>
      <Select label={t.usage.filterKey} all={t.usage.allKeys} value={filters.key} options={keys} onChange={(key) => onChange({ key })} />
      {filters.kind !== "route" && <Select label={t.usage.filterModel} all={t.usage.allModels} value={filters.model} options={models} onChange={(model) => onChange({ model })} />}
    </>
  );
}

interface SelectProps {
  label: string;
  all: string;
  value: string;
  options: [string, string][];
  onChange(value: string): void;
}

function Select({ label, all, value, options, onChange }: SelectProps) {
  const isKnown = value === "" || options.some(([name]) => name === value);
  return (
    <select className="in h-8 w-40" aria-label={label} value={value} onChange={(event) => onChange(event.target.value)}>
      <option value="">{all}</option>
      {!isKnown && <option value={value}>{value}</option>}
      {options.map(([name, text]) => (
        <option key={name} value={name}>
          {text}
        </option>
      ))}
    </select>
  );
}

"use client";

import Link from "next/link";
import type { ReactNode } from "react";
import { clsx } from "clsx";

import { type By, type Group, type Measure, type Totals, colourOf, failureRate, groupName, isRest, totalsOf } from "@/features/usage/series";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";

interface GroupTableProps {
  groups: readonly Group[];
  by: By;
  measure: Measure;
  currency: string;
  /** Filters the requests below by a model or a key. */
  onChoose(filter: { model: string } | { key: string }): void;
}

/** An error rate that deserves a look. */
const HIGH_RATE = 0.05;

/** The figures of each group over the whole range, the largest first; the sum of the others is last, as in the chart. */
export function GroupTable({ groups, by, measure, currency, onChoose }: GroupTableProps) {
  const t = useMessages();
  const format = useFormat();
  const lines = groups.map((group) => ({ group, totals: totalsOf(group.points) })).sort((a, b) => Number(isRest(a.group)) - Number(isRest(b.group)) || (amount(b.totals, measure) ?? -1) - (amount(a.totals, measure) ?? -1));
  const all = totalsOf(groups.flatMap((group) => group.points));
  const whole = amount(all, measure) ?? 0;
  const share = (totals: Totals): string => {
    const own = amount(totals, measure);
    return measure === "latency" || own === null || whole === 0 ? NONE : format.percent(own / whole);
  };
  return (
    <div className="tw border-t border-line">
      <table className="tbl" aria-label={t.usage.groups[by]}>
        <thead>
          <tr>
            <th>{t.usage.group[by]}</th>
            <th className="r x4">{t.overview.requests}</th>
            <th className="r x4" title={t.usage.refusedHelp}>{t.usage.refused}</th>
            <th className="r x3">{t.overview.tokens}</th>
            <th className="r x5">{t.overview.errors}</th>
            <th className="r x2">{t.usage.meanLatency}</th>
            <th className="r">{t.overview.spend}</th>
            <th className="r x4">{t.overview.share}</th>
          </tr>
        </thead>
        <tbody>
          {lines.map(({ group, totals }) => {
            const name = groupName(group, by, t, format.count);
            return (
              <tr key={group.key?.id ?? group.name ?? name}>
                <td className="grow" title={name}>
                  {isRest(group) ? <i className="sw rest mr-2.5" /> : <i className="sw mr-2.5" style={{ background: colourOf(groups, group) }} />}
                  <GroupName group={group} by={by} name={name} onChoose={onChoose} />
                </td>
                <Cells totals={totals} currency={currency} share={share(totals)} />
              </tr>
            );
          })}
        </tbody>
        <tfoot>
          <tr>
            <td className="semi">{t.usage.all}</td>
            <Cells totals={all} currency={currency} share="" />
          </tr>
        </tfoot>
      </table>
    </div>
  );
}

function amount(totals: Totals, measure: Measure): number | null {
  switch (measure) {
    case "spend":
      return totals.spendNano;
    case "requests":
      return totals.requests;
    case "tokens":
      return totals.tokens;
    case "errors":
      return totals.errors;
    case "latency":
      return totals.meanMs;
  }
}

function Cells({ totals, currency, share }: { totals: Totals; currency: string; share: string }) {
  const t = useMessages();
  const format = useFormat();
  const rate = failureRate(totals);
  const spend = format.total({ amount_nano: totals.spendNano, currency });
  return (
    <>
      <td className="r x4">{format.count(totals.requests)}</td>
      <td className="r x4" title={totals.refused === null ? t.usage.notCounted : undefined}>{totals.refused === null ? NONE : format.count(totals.refused)}</td>
      <td className="r x3">{format.count(totals.tokens)}</td>
      <td className={clsx("r x5", rate !== null && rate >= HIGH_RATE && "bad")} title={totals.errors === null ? t.usage.notCounted : format.count(totals.errors)}>
        {rate === null ? NONE : format.percent(rate, 2)}
      </td>
      <td className="r x2">{format.duration(totals.meanMs)}</td>
      <td className="r" title={totals.unpriced > 0 ? t.overview.unpriced(format.count(totals.unpriced)) : undefined}>
        {spend}
      </td>
      <td className="r x4 t3">{share}</td>
    </>
  );
}

interface GroupNameProps {
  group: Group;
  by: By;
  name: string;
  onChoose: GroupTableProps["onChoose"];
}

/** Models and keys filter the requests; routes cannot, because requests have no such filter. */
function GroupName({ group, by, name, onChoose }: GroupNameProps): ReactNode {
  const t = useMessages();
  const key = by === "key" ? group.key : undefined;
  const model = by === "model" ? group.name : undefined;
  if (by === "user" && group.user_id) return <ScopeLink scope={`user:${group.user_id}`} name={name} />;
  if (by === "plan" && group.name) return <ScopeLink scope={`plan:${group.name}`} name={name} />;
  if (!key && !model) return <span className="t2">{name}</span>;
  return (
    <>
      <button type="button" className="med hover:underline" title={t.usage.showRequests(name)} onClick={() => onChoose(key ? { key: key.id } : { model: model ?? "" })}>
        <bdi>{name}</bdi>
      </button>
      {key && <span className="mono t3"> …{key.last4}</span>}
    </>
  );
}

/** A user or a plan leads to its own usage. */
function ScopeLink({ scope, name }: { scope: string; name: string }) {
  const t = useMessages();
  return (
    <Link className="med hover:underline" title={t.scope.showUsage(name)} href={`/dashboard/usage?scope=${scope}`}>
      <bdi>{name}</bdi>
    </Link>
  );
}

"use client";

import Link from "next/link";

import { buttonClass } from "@/components/ui/button";
import { Meter } from "@/components/ui/meter";
import { Note } from "@/components/ui/note";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { AdminShell } from "@/features/frame/admin-shell";
import { type LimitedKey, busiest, countsText, keyText, linkOf, maximumText, whereText } from "@/features/limits/limit-words";
import { NearBudgets } from "@/features/limits/near-budgets";
import { type BusyKey, type LimitStates, type RateLimit, useLimits } from "@/features/limits/use-limits";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";

/** From this number of seconds on, the time until a limit is full again is shown in minutes. */
const LONG_S = 120;

/** The rate limits, and who is near them now. */
export function LimitsPage() {
  return (
    <AdminShell page="limits">
      <LiveLimits />
    </AdminShell>
  );
}

function LiveLimits() {
  const t = useMessages();
  const limits = useLimits();
  if (!limits.data) {
    return (
      <section className="panel">
        {limits.isError ? <Failure error={limits.error} onRetry={() => void limits.refetch()} /> : <SkeletonRows rows={8} />}
      </section>
    );
  }
  if (limits.data.items.length === 0) {
    return (
      <>
        <section className="panel">
          <Empty title={t.limits.none} action={<Link className={buttonClass({ look: "primary" })} href="/dashboard/configuration">{t.limits.openConfiguration}</Link>}>
            {t.limits.noneText}
          </Empty>
        </section>
        <NearBudgets />
      </>
    );
  }
  return (
    <>
      {!limits.data.is_live && <Note title={t.limits.elsewhere}>{t.limits.elsewhereText}</Note>}
      {limits.data.is_live && <BusyKeys limits={limits.data} />}
      <NearBudgets />
      <Rules limits={limits.data} />
    </>
  );
}

function BusyKeys({ limits }: { limits: LimitStates }) {
  const t = useMessages();
  const keys = busiest(limits.items);
  return (
    <section className="panel" aria-labelledby="limits-keys">
      <div className="ph"><h2 id="limits-keys">{t.limits.keys}</h2></div>
      {keys.length === 0 ? (
        <Empty title={t.limits.quiet}>{t.limits.quietText}</Empty>
      ) : (
        <div className="tw">
          <table className="tbl two" aria-labelledby="limits-keys">
            <thead>
              <tr>
                <th className="grow">{t.limits.key}</th>
                <th className="x3">{t.limits.rule}</th>
                <th>{t.limits.used}</th>
                <th className="r x4">{t.limits.left}</th>
                <th className="r x2">{t.limits.reset}</th>
                <th className="r">{t.limits.refused}</th>
              </tr>
            </thead>
            <tbody>{keys.map((key) => <KeyRow key={key.id} limited={key} />)}</tbody>
          </table>
        </div>
      )}
      <div className="pf"><span>{t.limits.keysText}{limits.is_shared && ` ${t.limits.nodeText}`}</span></div>
    </section>
  );
}

function KeyRow({ limited: { limit, busy } }: { limited: LimitedKey }) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow(1_000);
  const name = keyText(busy, t);
  const counts = countsText(limit, t);
  const seconds = busy.resets_at ? Math.max(0, Math.ceil((Date.parse(busy.resets_at) - now.getTime()) / 1_000)) : 0;
  const left = seconds < LONG_S ? t.limits.seconds(format.count(seconds)) : format.left(busy.resets_at ?? now, now);
  return (
    <tr>
      <td className="grow"><CountedValues busy={busy} /><span className="sub m-only">{counts}</span></td>
      <td className="x3">{counts}{limit.route && <span className="sub">{limit.route}</span>}</td>
      <td>
        <span className="num sm">{t.limits.usedOf(format.count(busy.used), format.count(busy.limit))}</span>
        <Meter size="mini" label={`${name}: ${t.limits.used}`} share={busy.used / busy.limit} />
      </td>
      <td className="r num x4">{format.count(busy.remaining)}</td>
      <td className="r num x2">{seconds === 0 ? t.limits.now : left}</td>
      <td className="r num">{typeof busy.refused === "number" ? format.count(busy.refused) : NONE}</td>
    </tr>
  );
}

/** The counted values; users, keys and the owners of keys lead to their pages. */
function CountedValues({ busy }: { busy: BusyKey }) {
  const t = useMessages();
  const owners = busy.values.flatMap(({ owner }) => (owner ? [owner] : []));
  return (
    <>
      <span className="med" title={keyText(busy, t)}>
        {busy.values.map((value, at) => {
          const href = linkOf(value);
          const text = <bdi>{keyText({ values: [value] }, t)}</bdi>;
          return <span key={value.dimension}>{at > 0 && " · "}{href ? <Link className="link" href={href}>{text}</Link> : text}</span>;
        })}
      </span>
      {owners.map(({ id, name }) => (
        <span key={id} className="sub">{t.limits.keyOf} <Link className="link" href={`/dashboard/users?id=${id}`}><bdi>{name}</bdi></Link></span>
      ))}
    </>
  );
}

function Rules({ limits }: { limits: LimitStates }) {
  const t = useMessages();
  return (
    <section className="panel" aria-labelledby="limits-rules">
      <div className="ph"><h2 id="limits-rules">{t.limits.rules}</h2></div>
      <div className="tw">
        <table className="tbl two" aria-labelledby="limits-rules">
          <thead>
            <tr>
              <th className="grow">{t.limits.counts}</th>
              <th className="x3 fill">{t.limits.maximum}</th>
              <th className="x2">{t.limits.algorithm}</th>
              <th className="x1">{t.limits.counted}</th>
              <th className="r x4">{t.limits.busy}</th>
              <th className="r">{t.limits.refused}</th>
            </tr>
          </thead>
          <tbody>{limits.items.map((limit, at) => <RuleRow key={`${limit.place ?? ""}-${at}`} limit={limit} />)}</tbody>
        </table>
      </div>
    </section>
  );
}

function RuleRow({ limit }: { limit: RateLimit }) {
  const t = useMessages();
  const format = useFormat();
  const maximum = maximumText(limit, t, format);
  const where = whereText(limit, t);
  const shared = limit.kind === "credits_per_day" ? t.limits.sharedInStore : t.limits.shared;
  return (
    <tr>
      <td className="grow pad">
        <span className="med">{countsText(limit, t)}</span>
        <span className="sub" title={where}>{where}</span>
        <span className="sub m-only">{maximum}</span>
      </td>
      <td className="x3 num fill" title={maximum}>{maximum}</td>
      <td className="x2 t2">{t.limits.algorithms[limit.algorithm] ?? limit.algorithm}</td>
      <td className="x1 t2">{limit.is_shared ? shared : t.limits.local}</td>
      <td className="r num x4">{typeof limit.busy_keys === "number" ? format.count(limit.busy_keys) : NONE}</td>
      <td className="r num">{typeof limit.refused === "number" ? format.count(limit.refused) : NONE}</td>
    </tr>
  );
}

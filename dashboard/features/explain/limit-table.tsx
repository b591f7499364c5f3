"use client";

import { Place } from "@/features/explain/step";
import type { Explanation, LimitState } from "@/features/explain/use-explanation";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";

/** The limits of a request with their state. */
export function LimitTable({ explanation: { limits, rate_limits } }: { explanation: Explanation }) {
  const t = useMessages();
  // Both lists have the limits of the configuration first, in one order.
  const order = (at: number) => (rate_limits[at]?.after_authentication ? t.explain.after : t.explain.before);
  return (
    <div className="tw">
      <table className="tbl two" aria-label={t.explain.limits}>
        <thead>
          <tr>
            <th>{t.explain.limit}</th>
            <th className="r">{t.explain.requests}</th>
            <th className="r">{t.explain.left}</th>
            <th className="r x3">{t.explain.reset}</th>
            <th className="x2">{t.explain.place}</th>
          </tr>
        </thead>
        <tbody>
          {limits.map((limit, at) => (
            <LimitRow key={`${limit.kind}-${limit.name}-${limit.place ?? at}`} limit={limit} when={limit.kind === "rate_limit" ? order(at) : undefined} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function LimitRow({ limit: { kind, name, limit, remaining, resets_at, reason, place }, when }: { limit: LimitState; when: string | undefined }) {
  const t = useMessages();
  const format = useFormat();
  const isKnown = remaining !== null && remaining !== undefined;
  return (
    <tr>
      <td className="grow">
        <span className="med">{t.explain.kinds[name] ?? t.explain.kinds[kind] ?? name}</span>
        <span className="sub wrap-text">{reason ?? when ?? ""}</span>
      </td>
      <td className="r num">{limit === null || limit === undefined ? NONE : format.count(limit)}</td>
      <td className="r num">{isKnown ? format.count(remaining) : <span className="tag">{t.explain.unknown}</span>}</td>
      <td className="r num x3">{resets_at ? format.time(resets_at) : isKnown ? t.explain.now : NONE}</td>
      <td className="x2"><Place place={place} /></td>
    </tr>
  );
}

"use client";

import Link from "next/link";

import { buttonClass } from "@/components/ui/button";
import { Empty, SkeletonRows } from "@/components/ui/states";
import { useFormat, useMessages } from "@/lib/language";
import type { Overview } from "@/lib/queries";

const ROWS = 6;

type Model = Overview["models"][number];

/** The highest cost first; models without a price follow by their requests. */
function byCost(one: Model, other: Model): number {
  return other.cost.amount_nano - one.cost.amount_nano || other.requests - one.requests;
}

/** The models with the highest cost of this month. */
export function TopModels({ overview }: { overview: Overview | undefined }) {
  const t = useMessages();
  const format = useFormat();
  const models = overview && [...overview.models].sort(byCost).slice(0, ROWS);
  const most = Math.max(1, ...(models ?? []).map((model) => model.cost.amount_nano || model.requests));
  return (
    <section className="panel" aria-labelledby="models">
      <div className="ph">
        <h2 id="models">{t.overview.topModels}</h2>
      </div>
      {!models && <SkeletonRows rows={3} />}
      {models?.length === 0 && <p className="t3 md border-t border-line px-4 py-6">{t.overview.noModels}</p>}
      {models && models.length > 0 && (
        <div className="tw">
          <table className="tbl named">
            <thead>
              <tr>
                <th>{t.overview.model}</th>
                <th className="r x4" title={t.overview.requestsHelp}>{t.overview.requests}</th>
                <th className="r x3">{t.overview.tokens}</th>
                <th className="r"><span className="sort">{t.overview.spend}</span></th>
                <th className="x4">{t.overview.share}</th>
              </tr>
            </thead>
            <tbody>
              {models.map((model) => (
                <tr key={model.model ?? ""}>
                  <td className="grow med" title={model.model ?? undefined}>{model.model ?? t.usage.unknown.model}</td>
                  <td className="r x4">{format.count(model.requests)}</td>
                  <td className="r x3">{format.count(model.tokens.total)}</td>
                  <td className="r">{format.total(model.cost)}</td>
                  <td className="x4">
                    <span className="share">
                      <i style={{ width: `${((model.cost.amount_nano || model.requests) / most) * 100}%` }} />
                    </span>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

interface TopKeysProps {
  overview: Overview | undefined;
  isAdmin: boolean;
  /** Whether the keys are the reader's own, which the page of keys lists. */
  isOwn: boolean;
}

/** The keys with the most use of this month. For admins, a key leads to its usage. */
export function TopKeys({ overview, isAdmin, isOwn }: TopKeysProps) {
  const t = useMessages();
  const format = useFormat();
  const keys = overview?.keys.slice(0, ROWS);
  return (
    <section className="panel" aria-labelledby="keys">
      <div className="ph">
        <h2 id="keys">{t.overview.topKeys}</h2>
        {isOwn && <Link className="link sm push" href="/dashboard/keys">{t.overview.allKeys}</Link>}
      </div>
      {!keys && <SkeletonRows rows={3} />}
      {keys?.length === 0 && (
        <Empty title={t.overview.noKeys} action={<Link className={buttonClass({ look: "primary" })} href="/dashboard/keys?create=1">{t.overview.createKey}</Link>}>
          {t.overview.noKeysText}
        </Empty>
      )}
      {keys && keys.length > 0 && (
        <div className="tw">
          <table className="tbl named">
            <thead>
              <tr>
                <th>{t.overview.key}</th>
                <th className="r x4">{t.overview.todayHead}</th>
                <th className="r x3" title={t.overview.requestsHelp}>{t.overview.requests}</th>
                <th className="r">{t.overview.spend}</th>
              </tr>
            </thead>
            <tbody>
              {keys.map((key) => (
                <tr key={key.id} className={key.revoked_at ? "off" : undefined}>
                  <td className="grow" title={key.user ? `${key.label} · ${key.user.name}` : key.label}>
                    {isAdmin ? <Link className="med hover:underline" href={`/dashboard/usage?scope=key:${key.id}`}>{key.label}</Link> : <span className="med">{key.label}</span>} <span className="mono t3">…{key.last4}</span>
                    {key.user && <span className="t2"> · <bdi>{key.user.name}</bdi></span>}
                  </td>
                  <td className="r x4">{format.count(key.today.requests)}</td>
                  <td className="r x3">{format.count(key.month.requests)}</td>
                  <td className="r">{format.total(key.month.cost)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

"use client";

import { clsx } from "clsx";
import type { ReactNode } from "react";

import { measureOf } from "@/features/budgets/budget-figures";
import { BudgetState } from "@/features/explain/budget-state";
import { LimitTable } from "@/features/explain/limit-table";
import type { Explanation } from "@/features/explain/use-explanation";
import { useFormat, useMessages } from "@/lib/language";

/** The explanation as steps, in the order in which the gateway takes them. */
export function ExplanationSteps({ explanation }: { explanation: Explanation }) {
  const t = useMessages();
  const { request, route, others, authentication, refusal, status, action } = explanation;
  const query = request.query ? `?${request.query}` : "";
  return (
    <ol className="trace">
      <Step title={t.explain.request}>
        <code className="mono break-all">{`${request.method} ${request.host ?? ""}${request.path}${query}`}</code>
        {explanation.as && <p className="t2 md">{t.explain.asKey(`${explanation.as.label} …${explanation.as.last4}`, explanation.as.user_name, explanation.as.plan)}</p>}
      </Step>
      <Step title={t.explain.route} place={route?.place}>
        {route ? <b className="med break-all">{route.name}</b> : <b className="med bad">{t.explain.noRoute}</b>}
        {route?.is_endpoint && <span className="tag">{t.explain.endpoint}</span>}
        {route && route.because.length > 0 && <ul className="reasons">{route.because.map((reason) => <li key={reason}>{reason}</li>)}</ul>}
        {others.length > 0 && (
          <details>
            <summary>{`${t.explain.others} (${others.length})`}</summary>
            <ul className="reasons">
              {others.map(({ name, place, because }) => (
                <li key={`${name}-${place ?? ""}`}><b className="med">{name}</b> <Place place={place} /><br />{because}</li>
              ))}
            </ul>
          </details>
        )}
      </Step>
      {authentication && (
        <Step title={t.explain.authentication} place={authentication.place}>
          <b className="med">{t.explain.auth[authentication.type] ?? authentication.type}</b>
          {authentication.entry && <span className="t2">{t.explain.entry(authentication.entry)}</span>}
          {authentication.type !== "none" && <p className="t2 md">{authentication.has_credential ? t.explain.hasCredential : t.explain.noCredential}</p>}
          {authentication.require.length > 0 && <p className="t2 md">{t.explain.require}: <code className="mono">{authentication.require.join(", ")}</code></p>}
        </Step>
      )}
      {authentication && (
        <Step title={t.explain.limits}>
          {explanation.limits.length === 0 ? <p className="t2 md">{t.explain.noLimits}</p> : <LimitTable explanation={explanation} />}
        </Step>
      )}
      {explanation.budgets.length > 0 && (
        <Step title={t.explain.budgets}>
          <ul className="reasons">
            {explanation.budgets.map((budget) => <BudgetState key={`${budget.dimension}-${budget.per}-${measureOf(budget)}-${budget.source}`} budget={budget} />)}
          </ul>
        </Step>
      )}
      {action && <ActionStep explanation={explanation} />}
      <Step title={t.explain.response} tone={refusal ? "bad" : undefined}>
        {status ? <b className="med num">{status}</b> : <span className="t2">{t.explain.decided}</span>}
        {refusal && <><code className="tag mono">{refusal.code}</code><p className="t2 md">{refusal.message}</p></>}
      </Step>
    </ol>
  );
}

function Step({ title, place, tone, children }: { title: string; place?: string | null | undefined; tone?: "bad" | undefined; children: ReactNode }) {
  return (
    <li className={clsx(tone)}>
      <div className="row wrap">
        <h3>{title}</h3>
        <Place place={place} />
      </div>
      <div className="step-b">{children}</div>
    </li>
  );
}

/** The position in the configuration: file, line and column. */
export function Place({ place }: { place: string | null | undefined }) {
  const t = useMessages();
  if (!place) return null;
  return <code className="mono t3 sm break-all" title={t.explain.place}>{place}</code>;
}

function ActionStep({ explanation: { request, action } }: { explanation: Explanation }) {
  const t = useMessages();
  const format = useFormat();
  if (!action) return null;
  const total = action.upstreams.reduce((sum, { weight }) => sum + weight, 0);
  const asked = request.query ? `${request.path}?${request.query}` : request.path;
  return (
    <Step title={t.explain.action}>
      <p>{t.explain.actions[action.kind] ?? action.kind}</p>
      <dl className="dl wide">
        {action.format && <><dt>{t.explain.format}</dt><dd className="mono">{action.format}</dd></>}
        {action.location && <><dt>{t.explain.location}</dt><dd className="mono">{action.location}</dd></>}
        {action.target && (
          <>
            <dt>{t.explain.target}</dt>
            <dd><code className="mono">{action.target}</code>{action.target !== asked && <span className="t3 sm"> {t.explain.rewritten(asked)}</span>}</dd>
          </>
        )}
        {action.upstreams.map(({ name, weight, strategy, backends, place }) => (
          <div key={name} className="contents">
            <dt>{t.explain.upstream}</dt>
            <dd>
              <b className="med">{name}</b> <Place place={place} />
              {action.upstreams.length > 1 && total > 0 && <span className="t2"> {t.explain.share(format.percent(weight / total))}</span>}
              <br />
              <span className="t3 sm">{t.explain.strategy}: <code className="mono">{strategy}</code></span>
              <ul className="reasons">
                {backends.map((backend) => (
                  <li key={backend.url}><code className="mono break-all">{backend.url}</code>{backends.length > 1 && <span className="t3 sm"> {t.explain.weight(format.count(backend.weight))}</span>}</li>
                ))}
              </ul>
            </dd>
          </div>
        ))}
      </dl>
    </Step>
  );
}

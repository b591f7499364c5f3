"use client";

import { measureOf } from "@/features/budgets/budget-figures";
import { AuthenticationStep } from "@/features/explain/authentication-step";
import { BackendState } from "@/features/explain/backend-state";
import { BudgetState } from "@/features/explain/budget-state";
import { LimitTable } from "@/features/explain/limit-table";
import { Place, Step } from "@/features/explain/step";
import type { Explanation } from "@/features/explain/use-explanation";
import { NONE } from "@/lib/format";
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
        {explanation.subject && <p className="t2 md">{t.explain.asSubject(explanation.subject.name, explanation.subject.entry, explanation.subject.plan ?? NONE)}</p>}
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
      {authentication && <AuthenticationStep authentication={authentication} />}
      {authentication && (
        <Step title={t.explain.limits}>
          {explanation.limits.length === 0 ? <p className="t2 md">{t.explain.noLimits}</p> : <LimitTable explanation={explanation} />}
        </Step>
      )}
      {(explanation.budgets.length > 0 || explanation.budgets_reason) && (
        <Step title={t.explain.budgets}>
          {explanation.budgets.length > 0 && (
            <ul className="reasons">
              {explanation.budgets.map((budget) => <BudgetState key={`${budget.dimension}-${budget.per}-${measureOf(budget)}-${budget.source}`} budget={budget} />)}
            </ul>
          )}
          {explanation.budgets_reason && <p className="t2 md"><span className="tag">{t.explain.unknown}</span> {explanation.budgets_reason}</p>}
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

function ActionStep({ explanation: { request, action, backends: states } }: { explanation: Explanation }) {
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
                  <li key={`${backend.url} ${backend.name ?? ""}`}><code className="mono break-all">{backend.url}</code>{backend.name && <span className="t3 sm"> <bdi>{backend.name}</bdi></span>}{backends.length > 1 && <span className="t3 sm"> {t.explain.weight(format.count(backend.weight))}</span>} <BackendState upstream={name} backend={backend} states={states} /></li>
                ))}
              </ul>
            </dd>
          </div>
        ))}
      </dl>
    </Step>
  );
}

"use client";

import { type Plan, usePlans } from "@/features/plans/use-plans";
import { NONE } from "@/lib/format";
import { useMessages } from "@/lib/language";

/** The plans for which the configuration sets models, aliases or rate limits; nothing if there are none. */
export function PlanConfiguration() {
  const t = useMessages();
  const plans = (usePlans().data ?? []).filter(({ models, aliases, rate_limits }) => models ?? aliases ?? rate_limits);
  if (plans.length === 0) return null;
  return (
    <section className="panel" aria-labelledby="plan-configuration">
      <div className="ph"><h2 id="plan-configuration">{t.plans.configured}</h2></div>
      <p className="pb t2 md">{t.plans.configuredText}</p>
      <div className="tw">
        <table className="tbl wrap-cells" aria-labelledby="plan-configuration">
          <thead>
            <tr>
              <th>{t.plans.name}</th>
              <th>{t.plans.models}</th>
              <th>{t.plans.aliases}</th>
              <th>{t.plans.rateLimits}</th>
            </tr>
          </thead>
          <tbody>{plans.map((plan) => <ConfiguredRow key={plan.id} plan={plan} />)}</tbody>
        </table>
      </div>
    </section>
  );
}

function ConfiguredRow({ plan: { name, models, aliases, rate_limits } }: { plan: Plan }) {
  const t = useMessages();
  return (
    <tr>
      <td className="med">{name}</td>
      <td>{models ? <Names names={models} /> : <span className="t3">{t.plans.allModels}</span>}</td>
      <td><Names names={Object.entries(aliases ?? {}).map(([alias, model]) => t.plans.alias(alias, model))} /></td>
      <td><Names names={rate_limits ?? []} /></td>
    </tr>
  );
}

/** Names of the configuration, one a line. */
function Names({ names }: { names: readonly string[] }) {
  if (names.length === 0) return <span className="t3">{NONE}</span>;
  return names.map((name) => <div key={name} className="mono"><bdi>{name}</bdi></div>);
}

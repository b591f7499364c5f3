"use client";

import { Place, Step } from "@/features/explain/step";
import type { Authentication } from "@/features/explain/use-explanation";
import { useMessages } from "@/lib/language";

/** The credentials that the route needs, which of them decides, and the plan of its clients. */
export function AuthenticationStep({ authentication }: { authentication: Authentication }) {
  const t = useMessages();
  const { alternatives } = authentication;
  const deciding = alternatives.length === 0 ? authentication : alternatives.find(({ decides }) => decides);
  return (
    <Step title={t.explain.authentication} place={authentication.place}>
      {alternatives.length === 0 ? (
        <Credential authentication={authentication} />
      ) : (
        <>
          <b className="med">{t.explain.auth.any}</b>
          <ul className="reasons">
            {alternatives.map((one) => (
              <li key={`${one.type}-${one.entry ?? ""}`}>
                <Credential authentication={one} /> <Place place={one.place} />
              </li>
            ))}
          </ul>
          <p>{t.explain.decidedBy}: {deciding ? <Credential authentication={deciding} /> : t.explain.noneDecides}</p>
        </>
      )}
      {deciding && deciding.type !== "none" && <p className="t2 md">{deciding.has_credential ? t.explain.hasCredential : t.explain.noCredential}</p>}
      {deciding?.plan && <PlanOfClients plan={deciding.plan} />}
    </Step>
  );
}

function Credential({ authentication: { type, entry, require } }: { authentication: Authentication }) {
  const t = useMessages();
  return (
    <>
      <b className="med">{t.explain.auth[type] ?? type}</b>
      {entry && <span className="t2"> {t.explain.entry(entry)}</span>}
      {require.length > 0 && <span className="t2 md"> {t.explain.require}: <code className="mono">{require.join(", ")}</code></span>}
    </>
  );
}

function PlanOfClients({ plan: { name, named_by, limits, place } }: { plan: NonNullable<Authentication["plan"]> }) {
  const t = useMessages();
  return (
    <p className="t2 md">
      {name ? t.explain.planOf(name) : t.explain.planNamed(named_by ?? "")}
      {name && named_by && ` ${t.explain.planUnless(named_by)}`}
      {limits.length > 0 && `: ${t.explain.eachSubject(limits.join(", "))}`} <Place place={place} />
    </p>
  );
}

"use client";

import type { Provider } from "@/features/providers/provider-state";
import { useFormat, useMessages } from "@/lib/language";

type Target = NonNullable<Provider["targets"]>[number];

/** The targets of models that have several: how their attempts ended, and which are left out. Empty without such models. */
export function TargetPanel({ providers }: { providers: Provider[] }) {
  const t = useMessages();
  const rows = providers.flatMap(({ name, targets, credential }) => (targets ?? []).map((target) => ({ name, target, isMissing: credential.state === "missing" })));
  if (rows.length === 0) return null;
  return (
    <section className="panel" aria-labelledby="targets">
      <div className="ph">
        <h2 id="targets">{t.providers.targets}</h2>
        <span className="t3 sm push">{t.providers.targetsPeriod}</span>
      </div>
      <div className="tw">
        <table className="tbl two" aria-labelledby="targets">
          <thead>
            <tr>
              <th className="grow">{t.providers.model}</th>
              <th>{t.providers.state}</th>
              <th className="r">{t.providers.attempts}</th>
              <th className="r">{t.providers.failedAttempts}</th>
              <th className="r x2">{t.providers.firstContent}</th>
            </tr>
          </thead>
          <tbody>{rows.map(({ name, target, isMissing }) => <TargetRow key={`${name}/${target.model}`} provider={name} target={target} isMissing={isMissing} />)}</tbody>
        </table>
      </div>
    </section>
  );
}

interface TargetRowProps {
  provider: string;
  target: Target;
  /** Whether its provider has no credential. */
  isMissing: boolean;
}

function TargetRow({ provider, target: { model, succeeded, failures, cooled_down_until, first_content_ms }, isMissing }: TargetRowProps) {
  const t = useMessages();
  const format = useFormat();
  const failed = failures.reduce((sum, { attempts }) => sum + attempts, 0);
  const causes = failures.map(({ cause, attempts }) => t.providers.cause(cause, format.count(attempts))).join(" · ");
  return (
    <tr>
      <td className="grow">
        <bdi className="med">{model}</bdi>
        <bdi className="sub">{provider}</bdi>
      </td>
      <td>
        <span className={`tag ${isMissing || cooled_down_until ? "bad" : "ok"}`}>
          {isMissing ? t.providers.states.missing : cooled_down_until ? t.providers.leftOut(format.moment(cooled_down_until)) : t.providers.inUseNow}
        </span>
      </td>
      <td className="r num">{format.count(succeeded + failed)}</td>
      <td className="r num">
        {format.count(failed)}
        {causes !== "" && <span className="sub">{causes}</span>}
      </td>
      <td className="r num x2">{format.duration(first_content_ms)}</td>
    </tr>
  );
}

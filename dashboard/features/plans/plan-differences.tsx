"use client";

import { useState } from "react";

import { Button } from "@/components/ui/button";
import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { Failure } from "@/components/ui/states";
import { limitTexts } from "@/features/plans/plan-words";
import { type PlanDifference, usePlanChanges, usePlanDifferences } from "@/features/plans/use-plans";
import type { Format } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import type { Messages } from "@/messages/en";

interface LimitDifference {
  limit: string;
  stored: string;
  configured: string;
}

/** The limits of a plan that differ. A plan that the store does not have differs in all of them. */
export function differingLimits({ configured, stored }: PlanDifference, t: Messages, format: Format): LimitDifference[] {
  const before = stored && limitTexts(stored, t, format);
  return limitTexts(configured, t, format).flatMap(([limit, text, value], at) => {
    const [, old, oldValue] = before?.[at] ?? [];
    const isSame = old !== undefined && JSON.stringify(oldValue ?? null) === JSON.stringify(value ?? null);
    return isSame ? [] : [{ limit, stored: old ?? t.plans.missing, configured: text }];
  });
}

/** The plans whose limits in the store differ from the configuration, and their application; nothing if there are none. */
export function PlanDifferences() {
  const t = useMessages();
  const differences = usePlanDifferences();
  const { apply } = usePlanChanges();
  const [asked, setAsked] = useState<string[]>();
  const plans = differences.data ?? [];
  if (differences.isError && !differences.data) return <section className="panel"><Failure error={differences.error} onRetry={() => void differences.refetch()} /></section>;
  if (plans.length === 0) return null;
  const names = plans.map(({ name }) => name);
  return (
    <section className="panel" aria-labelledby="plan-differences">
      <div className="ph flex-wrap">
        <h2 id="plan-differences">{t.plans.differences}</h2>
        {plans.length > 1 && <Button size="small" className="push" onClick={() => setAsked(names)}>{t.plans.applyAll}</Button>}
      </div>
      <p className="pb t2 md">{t.plans.differencesText}</p>
      <div className="tw">
        <table className="tbl wrap-cells" aria-labelledby="plan-differences">
          <thead>
            <tr>
              <th>{t.plans.name}</th>
              <th>{t.limits.rule}</th>
              <th>{t.plans.inStore}</th>
              <th>{t.plans.inConfiguration}</th>
              <th className="r"><span className="vh">{t.users.actions}</span></th>
            </tr>
          </thead>
          <tbody>{plans.map((plan) => <DifferenceRows key={plan.name} plan={plan} onApply={() => setAsked([plan.name])} />)}</tbody>
        </table>
      </div>
      {asked && (
        <ConfirmDialog
          title={t.plans.applyTitle(asked.join(", "))}
          text={t.plans.applyText}
          action={t.plans.apply}
          look="primary"
          isBusy={apply.isPending}
          error={apply.error}
          onConfirm={() => apply.mutate(asked, { onSuccess: () => setAsked(undefined) })}
          onClose={() => setAsked(undefined)}
        />
      )}
    </section>
  );
}

function DifferenceRows({ plan, onApply }: { plan: PlanDifference; onApply(): void }) {
  const t = useMessages();
  const rows = differingLimits(plan, t, useFormat());
  return rows.map(({ limit, stored, configured }, at) => (
    <tr key={limit}>
      <td className="med">{at === 0 ? plan.name : <span className="vh">{plan.name}</span>}</td>
      <td>{limit}</td>
      <td className="num">{stored}</td>
      <td className="num">{configured}</td>
      <td className="r">
        {at === 0 && <Button size="small" aria-label={t.plans.applyTitle(plan.name)} onClick={onApply}>{t.plans.apply}</Button>}
      </td>
    </tr>
  ));
}

"use client";

import Link from "next/link";

import { Meter, NEARLY } from "@/components/ui/meter";
import { figuresOf, ruleText } from "@/features/budgets/budget-figures";
import { holderOf, idOf } from "@/features/budgets/budget-table";
import { type Budget, useBudgets } from "@/features/budgets/use-budgets";
import type { Format } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";

const ROWS = 20;

/** The budgets of which most is used, the fullest first. */
export function nearBudgets(budgets: readonly Budget[], format: Format): Budget[] {
  const share = (budget: Budget): number => figuresOf(budget, format).share ?? 0;
  return budgets.filter((budget) => share(budget) >= NEARLY).sort((a, b) => share(b) - share(a)).slice(0, ROWS);
}

/** Quotas and budgets near their end; nothing if there are none. */
export function NearBudgets() {
  const t = useMessages();
  const format = useFormat();
  const near = nearBudgets(useBudgets().data?.items ?? [], format);
  if (near.length === 0) return null;
  return (
    <section className="panel" aria-labelledby="limits-budgets">
      <div className="ph">
        <h2 id="limits-budgets">{t.limits.budgets}</h2>
        <Link className="link sm push" href="/dashboard/budgets">{t.limits.allBudgets}</Link>
      </div>
      <div className="tw">
        <table className="tbl two" aria-labelledby="limits-budgets">
          <thead>
            <tr>
              <th className="grow">{t.budgets.appliesTo}</th>
              <th className="x3">{t.limits.rule}</th>
              <th>{t.limits.used}</th>
              <th className="r x2">{t.budgets.resets}</th>
            </tr>
          </thead>
          <tbody>{near.map((budget) => <BudgetRow key={idOf(budget)} budget={budget} />)}</tbody>
        </table>
      </div>
    </section>
  );
}

function BudgetRow({ budget }: { budget: Budget }) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const { measure, amount, used, share } = figuresOf(budget, format);
  const holder = <bdi>{holderOf(budget, t)}</bdi>;
  const rule = ruleText(budget, t);
  return (
    <tr>
      <td className="grow med">{budget.dimension === "user" && budget.id ? <Link className="link" href={`/dashboard/users?id=${budget.id}`}>{holder}</Link> : holder}</td>
      <td className="x3">{rule}<span className="sub">{t.budgets.dimensions[budget.dimension]}</span></td>
      <td>
        <span className="num sm">{t.limits.usedOf(used ?? "", amount)}</span>
        <Meter size="mini" label={`${holderOf(budget, t)}, ${t.budgets.measures[measure]}: ${t.limits.used}`} share={share ?? 0} />
      </td>
      <td className="r num x2">{format.left(budget.resets_at, now)}</td>
    </tr>
  );
}

"use client";

import { figuresOf, ruleText } from "@/features/budgets/budget-figures";
import { Place } from "@/features/explain/step";
import type { ExplainedBudget } from "@/features/explain/use-explanation";
import { useFormat, useMessages } from "@/lib/language";

/** One quota or budget with what is used and left of it, its end and its place. */
export function BudgetState({ budget }: { budget: ExplainedBudget }) {
  const t = useMessages();
  const format = useFormat();
  const { amount, used, remaining } = figuresOf(budget, format);
  const whose = budget.dimension === "subject" ? t.explain.subject : t.budgets.dimensions[budget.dimension];
  return (
    <li>
      {ruleText(budget, t)}
      <span className="t3"> ({whose}, {t.explain.sources[budget.source]})</span>:{" "}
      {used !== undefined && remaining !== undefined ? (
        <><b className="med num">{t.explain.budgetLeft(remaining, amount)}</b>, <span className="num">{t.explain.budgetUsed(used)}</span></>
      ) : (
        <><b className="med num">{amount}</b> <span className="tag">{t.explain.unknown}</span> {budget.reason}</>
      )}
      <span className="t3">, {t.explain.until(format.moment(budget.resets_at))}</span> <Place place={budget.place} />
    </li>
  );
}

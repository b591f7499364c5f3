"use client";

import { figuresOf, measureOf } from "@/features/budgets/budget-figures";
import type { Budget } from "@/features/budgets/use-budgets";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";

/** One budget with what is left of it. */
export function BudgetState({ budget }: { budget: Budget }) {
  const t = useMessages();
  const format = useFormat();
  const figures = figuresOf(budget, format);
  return (
    <li>
      {t.budgets.per[budget.per](t.budgets.measures[measureOf(budget)])}
      <span className="t3"> ({t.budgets.dimensions[budget.dimension]})</span>: <b className="med num">{t.explain.budgetLeft(figures.remaining ?? NONE, figures.amount)}</b>
    </li>
  );
}

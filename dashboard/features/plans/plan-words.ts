import { measureOf, perText } from "@/features/budgets/budget-figures";
import type { PlanBudget, PlanLimits } from "@/features/plans/use-plans";
import { type Format, NONE } from "@/lib/format";
import type { Messages } from "@/messages/en";

/** A budget of a plan in a few words. */
export function budgetText(budget: PlanBudget, t: Messages, format: Format): string {
  const measure = measureOf(budget);
  const per = perText(budget.per, t) + (budget.name ? ` (${budget.name})` : "");
  if (measure === "money") return `${format.unitPrice((budget.money ?? "0").replace(/ USD$/, ""), "USD")} ${per}`;
  return `${format.whole(budget[measure] ?? 0)} ${t.budgets.units[measure]} ${per}`;
}

/** The name, the text and the value of each limit of a plan. */
export function limitTexts(limits: PlanLimits, t: Messages, format: Format): [string, string, unknown][] {
  const count = (value: number | null | undefined): string => (value === null || value === undefined ? t.keys.noLimit : format.whole(value));
  return [
    [t.plans.quota, count(limits.credits_per_day), limits.credits_per_day],
    [t.plans.rate, count(limits.requests_per_minute), limits.requests_per_minute],
    [t.plans.budgets, limits.budgets.map((budget) => budgetText(budget, t, format)).join(" · ") || NONE, limits.budgets],
    [t.plans.sharedColumn, limits.shared_keys ? t.plans.allowed : t.plans.notAllowed, limits.shared_keys],
  ];
}

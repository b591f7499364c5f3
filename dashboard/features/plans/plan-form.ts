import { z } from "zod";

import { type Measure, type UtcPeriod, amountPattern, bodyOf, measureOf } from "@/features/budgets/budget-figures";
import type { Plan, PlanBudget } from "@/features/plans/use-plans";
import type { Messages } from "@/messages/en";

type Per = UtcPeriod;

/** The fields of budgets, by measure and period. Credits per day are the quota, which has a field of its own. */
export const BUDGET_FIELDS = [
  ["money", "day"],
  ["money", "month"],
  ["tokens", "day"],
  ["tokens", "month"],
  ["credits", "month"],
] as const satisfies readonly (readonly [Measure, Per])[];

export function fieldOf(measure: Measure, per: Per): string {
  return `${measure}-${per}`;
}

function typed(budget: PlanBudget): string {
  const measure = measureOf(budget);
  return measure === "money" ? (budget.money ?? "").replace(/ USD$/, "") : String(budget[measure] ?? "");
}

/** The texts of the form for a plan; empty for a new one. */
export function initialPlan(plan: Plan | undefined): Record<string, string> {
  const budgets = BUDGET_FIELDS.map(([measure, per]) => {
    const found = plan?.budgets.find((budget) => measureOf(budget) === measure && budget.per === per);
    return [fieldOf(measure, per), found ? typed(found) : ""];
  });
  return {
    name: plan?.name ?? "",
    quota: String(plan?.credits_per_day ?? ""),
    rate: String(plan?.requests_per_minute ?? ""),
    shared: plan && !plan.shared_keys ? "no" : "yes",
    ...Object.fromEntries(budgets),
  };
}

export interface PlanFields {
  name: string;
  limits: { credits_per_day: number | null; requests_per_minute: number | null; budgets: PlanBudget[]; shared_keys: boolean };
}

/** Reads the form. `kept` are budgets without a field, which stay as they are. */
export function planShape(t: Messages, kept: PlanBudget[]): z.ZodType<PlanFields, Record<string, string>> {
  const amount = (measure: Measure) => {
    const error = measure === "money" ? t.budgets.moneyWrong : t.budgets.countWrong;
    return z.string().trim().refine((text) => text === "" || amountPattern(measure).test(text), error);
  };
  const fields = Object.fromEntries(BUDGET_FIELDS.map(([measure, per]) => [fieldOf(measure, per), amount(measure)]));
  return z
    .object({
      name: z.string().trim().regex(/^[a-z0-9._-]{1,64}$/, t.plans.nameWrong),
      quota: amount("credits"),
      rate: z.string().trim().regex(/^([1-9]\d{0,8})?$/, t.keys.wholeNumber),
      shared: z.string(),
      ...fields,
    })
    .transform((values): PlanFields => {
      const texts = values as Record<string, string>;
      const budgets = BUDGET_FIELDS.flatMap(([measure, per]): PlanBudget[] => {
        const text = texts[fieldOf(measure, per)] ?? "";
        return text === "" ? [] : [{ ...bodyOf(measure, text), per }];
      });
      const { name = "", quota = "", rate = "", shared } = texts;
      return {
        name,
        limits: {
          credits_per_day: quota === "" ? null : Number(quota),
          requests_per_minute: rate === "" ? null : Number(rate),
          budgets: [...budgets, ...kept],
          shared_keys: shared === "yes",
        },
      };
    });
}

/** The changed limits only: what another admin changed meanwhile stays. The budgets are one limit. */
export function changedLimits(before: PlanFields["limits"] | undefined, after: PlanFields["limits"]): Partial<PlanFields["limits"]> {
  const has = (name: keyof PlanFields["limits"]): boolean => JSON.stringify(before?.[name]) !== JSON.stringify(after[name]);
  return {
    ...(has("credits_per_day") && { credits_per_day: after.credits_per_day }),
    ...(has("requests_per_minute") && { requests_per_minute: after.requests_per_minute }),
    ...(has("budgets") && { budgets: after.budgets }),
    ...(has("shared_keys") && { shared_keys: after.shared_keys }),
  };
}

/** The budgets of a plan that the form has no field for. */
export function keptBudgets(plan: Plan | undefined): PlanBudget[] {
  const isField = (budget: PlanBudget) => BUDGET_FIELDS.some(([measure, per]) => measureOf(budget) === measure && budget.per === per);
  return (plan?.budgets ?? []).filter((budget) => !isField(budget));
}


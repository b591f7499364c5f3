import type { Budget, BudgetPath } from "@/features/budgets/use-budgets";
import type { Schemas } from "@/lib/api";
import type { Format } from "@/lib/format";

export type Measure = "money" | "credits" | "tokens";
export const MEASURES: readonly Measure[] = ["money", "credits", "tokens"];

const NANO_PLACES = 9;

/** The measure of a budget: the only field of the three that is present. */
export function measureOf(budget: Pick<Budget, "money" | "credits" | "tokens">): Measure {
  return MEASURES.find((measure) => budget[measure] !== undefined) ?? "credits";
}

interface Figures {
  measure: Measure;
  /** The whole amount as the reader sees it. */
  amount: string;
  /** Undefined where a budget applies to each user, key or plan separately. */
  used: string | undefined;
  remaining: string | undefined;
  share: number | undefined;
}

function isCost(amount: Schemas["BudgetAmount"] | null | undefined): amount is Schemas["Cost"] {
  return typeof amount === "object" && amount !== null;
}

function shown(amount: Schemas["BudgetAmount"], format: Format): string {
  return isCost(amount) ? format.total(amount) : format.count(amount);
}

/** `12.5 USD` as an amount in billionths. */
export function nanoOf(money: string): number {
  const [whole = "0", fraction = ""] = money.replace(/ USD$/, "").split(".");
  return Number(`${whole}${fraction.padEnd(NANO_PLACES, "0").slice(0, NANO_PLACES)}`);
}

function number(amount: Schemas["BudgetAmount"]): number {
  return isCost(amount) ? amount.amount_nano : amount;
}

export function figuresOf(budget: Pick<Budget, "money" | "credits" | "tokens" | "used" | "remaining">, format: Format): Figures {
  const measure = measureOf(budget);
  const whole = measure === "money" ? nanoOf(budget.money ?? "0") : (budget[measure] ?? 0);
  const amount = measure === "money" ? format.total({ amount_nano: whole, currency: "USD" }) : format.count(whole);
  const { used, remaining } = budget;
  if (used === null || used === undefined || remaining === null || remaining === undefined) {
    return { measure, amount, used: undefined, remaining: undefined, share: undefined };
  }
  const usedNumber = number(used);
  // A budget of 0 is used up before the first request.
  const share = whole === 0 ? 1 : usedNumber / whole;
  return { measure, amount, used: shown(used, format), remaining: shown(remaining, format), share };
}

/** The path of a budget that was set over the API. */
export function pathOf(budget: Budget): BudgetPath {
  return { dimension: budget.dimension, id: budget.id ?? "-", measure: measureOf(budget), per: budget.per };
}

/** What a person types for an amount: digits, and for money at most nine decimals. */
export function amountPattern(measure: Measure): RegExp {
  return measure === "money" ? /^\d{1,9}(\.\d{1,9})?$/ : /^\d{1,15}$/;
}

/** The body that sets a budget. */
export function bodyOf(measure: Measure, amount: string): Schemas["NewBudget"] {
  return measure === "money" ? { money: `${amount} USD` } : { [measure]: Number(amount) };
}

/** The text of an amount for a field: `12.5` of `12.5 USD`. */
export function typedOf(budget: Budget): string {
  const measure = measureOf(budget);
  return measure === "money" ? (budget.money ?? "").replace(/ USD$/, "") : String(budget[measure] ?? "");
}

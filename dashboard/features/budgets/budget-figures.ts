import type { Budget, BudgetPath } from "@/features/budgets/use-budgets";
import type { Schemas } from "@/lib/api";
import type { Format } from "@/lib/format";
import type { Messages } from "@/messages/en";

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
  return isCost(amount) ? format.total(amount) : format.credits(amount);
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

/** The periods of budgets in UTC. */
export const PERIODS = ["day", "week", "month"] as const;
export type UtcPeriod = (typeof PERIODS)[number];

/** The period, if it is one in UTC. */
export function utcPeriod(per: string): UtcPeriod | undefined {
  return PERIODS.find((known) => known === per);
}

type WindowStart = "first_use" | "calendar" | "subscription";

/**
 * A window is its length, and when it begins: `5h/first_use`, `week/Asia/Jakarta`, `week/subscription` (of a user
 * `week/2026-11-30T14:00Z`), or `period` (of a user `period/30`).
 */
function windowParts(per: string): { length: string; start: WindowStart; zone: string } {
  const [first = per, ...from] = per.split("/");
  // A week that does not begin on Monday: `week-from-sunday/Asia/Jakarta`.
  const length = first.replace(/-from-.*/, "");
  const zone = from.join("/");
  const isOfSubscription = length === "period" || zone === "subscription" || /^\d/.test(zone);
  const start = isOfSubscription ? "subscription" : zone === "first_use" ? "first_use" : "calendar";
  return { length, start, zone };
}

/** The name, the measure and the period in words: `Credits a day`, `session: Credits per 5h from first use`. */
export function ruleText(budget: Pick<Budget, "money" | "credits" | "tokens" | "per" | "quota">, t: Messages): string {
  const rule = lengthText(t.budgets.measures[measureOf(budget)], budget.per, t);
  return budget.quota ? t.budgets.named(budget.quota, rule) : rule;
}

function lengthText(measure: string, per: string, t: Messages): string {
  const { length, start, zone } = windowParts(per);
  const calendar = utcPeriod(length);
  const plain = calendar ? t.budgets.per[calendar](measure) : t.budgets.perLength(measure, length);
  if (length === "period") return t.budgets.perPeriod(measure);
  if (start === "subscription") return t.budgets.sinceSubscription(plain);
  if (start === "first_use") return t.budgets.windowOfUse(measure, length);
  return zone ? t.budgets.windowOfZone(plain, zone) : plain;
}

/** The period after an amount: `a day`, `per 5h`. */
export function perText(per: string, t: Messages): string {
  const { length } = windowParts(per);
  if (length === "period") return t.budgets.shortPeriod;
  const period = utcPeriod(length);
  return period ? t.budgets.perShort[period] : t.budgets.shortWindow(length);
}

const LENGTHS_MS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** The usual length of a period; of a month, of 30 days. */
export function lengthMs(per: string): number {
  const { length } = windowParts(per);
  const days: Record<UtcPeriod, number> = { day: 1, week: 7, month: 30 };
  // A paid period is a month or a year: `period/30`, `period/02-29`.
  const period = length === "period" ? "month" : utcPeriod(length);
  if (/^period\/\d+-/.test(per)) return 365 * 86_400_000;
  if (period) return days[period] * 86_400_000;
  return Number.parseInt(length, 10) * (LENGTHS_MS[length.slice(-1)] ?? 0);
}

/** The path of a budget that was set over the API. A window of a user's subscription is set as that of any user. */
export function pathOf(budget: Budget): BudgetPath {
  const { length, start } = windowParts(budget.per);
  const ofSubscription = length === "period" ? length : `${length}/subscription`;
  const per = start === "subscription" ? ofSubscription : budget.per;
  return { dimension: budget.dimension, id: budget.id ?? "-", measure: measureOf(budget), per };
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

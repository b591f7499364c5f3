import { addDays } from "date-fns/addDays";
import { z } from "zod";

import type { ApiKey } from "@/features/keys/key-state";
import type { Schemas } from "@/lib/api";
import { labelsOf, labelsText } from "@/lib/labels";
import type { Messages } from "@/messages/en";

const LABEL_MAX = 200;
const RATE_MAX = 2_147_483_647;
/** The maximum lifetime of a key with the scope `admin`. */
const ADMIN_DAYS_MAX = 366;

/** A budget that the form sets: `money_day` is the one in money per day. */
export const BUDGET_FIELDS = ["money_day", "money_month", "tokens_day", "tokens_month"] as const;
export type BudgetField = (typeof BUDGET_FIELDS)[number];

/** The fields that most keys leave empty. */
export const MORE_FIELDS = ["expires", "models", "routes", "addresses", "labels", ...BUDGET_FIELDS] as const;

/** The texts of the form. An empty one is no limit; `scope` is `requests` or `admin`. */
export type KeyFields = Record<"label" | "scope" | "expires" | "credits" | "rate" | "models" | "routes" | "addresses" | "labels" | BudgetField, string>;

export const EMPTY_KEY: KeyFields = {
  label: "", scope: "requests", expires: "", credits: "", rate: "", models: "", routes: "", addresses: "", labels: "",
  money_day: "", money_month: "", tokens_day: "", tokens_month: "",
};

export function keyShape(t: Messages, initial: KeyFields): z.ZodType<KeyFields, Record<string, string>> {
  const whole = z.string().trim().regex(/^\d{0,15}$/, t.keys.wholeNumber);
  const money = z.string().trim().regex(/^(\d{1,9}(\.\d{1,9})?)?$/, t.keys.moneyWrong);
  return z.object({
    label: z.string().trim().min(1, t.keys.labelMissing).max(LABEL_MAX, t.keys.labelLong),
    scope: z.string(),
    expires: z.string().refine((day) => day === "" || day === initial.expires || endOf(day) > new Date(), t.keys.expiryPast),
    credits: whole,
    rate: z.string().trim().refine((text) => text === "" || (/^[1-9]\d{0,9}$/.test(text) && Number(text) <= RATE_MAX), t.keys.rateWrong),
    models: z.string(),
    routes: z.string(),
    addresses: z.string(),
    labels: z.string().refine((text) => labelsOf(text) !== undefined, t.keys.labelsWrong),
    money_day: money,
    money_month: money,
    tokens_day: whole,
    tokens_month: whole,
  }).superRefine(({ scope, expires }, context) => {
    if (scope === "admin" && (expires === "" || endOf(expires) > lastAdminEnd())) {
      context.addIssue({ code: "custom", path: ["expires"], message: t.keys.expiryOfAdmin });
    }
  });
}

function lastAdminEnd(): Date {
  return addDays(new Date(), ADMIN_DAYS_MAX);
}

/** The texts of an existing key. */
export function fieldsOf(key: ApiKey, budgets: readonly Schemas["Budget"][]): KeyFields {
  const { limits, scopes } = key;
  return {
    ...EMPTY_KEY,
    label: key.label,
    scope: key.admin ? "admin" : "requests",
    expires: key.expires_at ? dayOf(key.expires_at) : "",
    credits: limits.credits_per_day?.toString() ?? "",
    rate: limits.requests_per_minute?.toString() ?? "",
    models: scopes.models?.join(", ") ?? "",
    routes: scopes.routes?.join(", ") ?? "",
    addresses: key.addresses?.join(", ") ?? "",
    labels: labelsText(key.labels),
    ...budgetFields(key.id, budgets),
  };
}

/** The amounts of a key's own budgets; those of the configuration, the plan and the user cannot be changed here. */
function budgetFields(id: string, budgets: readonly Schemas["Budget"][]): Partial<KeyFields> {
  // Budgets of weeks have no field.
  const own = budgets.filter((budget) => budget.dimension === "key" && budget.id === id && budget.source === "api" && budget.per !== "week");
  const amounts = own.flatMap((budget): [string, string][] => {
    if (budget.money) return [[`money_${budget.per}`, budget.money.split(" ")[0] ?? ""]];
    return budget.tokens === null || budget.tokens === undefined ? [] : [[`tokens_${budget.per}`, String(budget.tokens)]];
  });
  return Object.fromEntries(amounts);
}

/** A new key; empty fields are left out. */
export function newKeyOf(fields: KeyFields): Schemas["NewApiKey"] {
  const { credits, rate } = fields;
  const expires = fields.expires && { expires_at: endOf(fields.expires).toISOString() };
  if (fields.scope === "admin") {
    const networks = list(fields.addresses);
    return { label: fields.label, scopes: ["admin"], ...expires, ...(networks && { addresses: networks }) };
  }
  const [models, routes, addresses] = [list(fields.models), list(fields.routes), list(fields.addresses)];
  const limits = { ...(credits && { credits_per_day: Number(credits) }), ...(rate && { requests_per_minute: Number(rate) }) };
  const scopes = { ...(models && { models }), ...(routes && { routes }) };
  return {
    label: fields.label,
    ...expires,
    ...(Object.keys(limits).length > 0 && { limits }),
    ...(Object.keys(scopes).length > 0 && { scopes }),
    ...(addresses && { addresses }),
  };
}

/** The changed fields only: what another person changed meanwhile stays, and so does a list that permits nothing. */
export function changeOf(before: KeyFields, after: KeyFields): Schemas["ApiKeyChange"] {
  const has = (name: keyof KeyFields): boolean => before[name] !== after[name];
  const number = (text: string): number | null => (text === "" ? null : Number(text));
  const limits = { ...(has("credits") && { credits_per_day: number(after.credits) }), ...(has("rate") && { requests_per_minute: number(after.rate) }) };
  const scopes = { ...(has("models") && { models: list(after.models) ?? null }), ...(has("routes") && { routes: list(after.routes) ?? null }) };
  return {
    ...(has("label") && { label: after.label }),
    ...(has("expires") && { expires_at: after.expires === "" ? null : endOf(after.expires).toISOString() }),
    ...(Object.keys(limits).length > 0 && { limits }),
    ...(Object.keys(scopes).length > 0 && { scopes }),
    ...(has("addresses") && { addresses: list(after.addresses) ?? null }),
    ...(has("labels") && { labels: labelsOf(after.labels) ?? {} }),
  };
}

export interface BudgetChange {
  measure: "money" | "tokens";
  per: "day" | "month";
  /** `undefined` removes the budget. */
  body: Schemas["NewBudget"] | undefined;
}

/** The budgets to set and to remove. */
export function budgetChanges(before: KeyFields, after: KeyFields, currency: string): BudgetChange[] {
  // A key with the scope `admin` sends no requests that a budget could count.
  if (after.scope === "admin") return [];
  return BUDGET_FIELDS.filter((name) => before[name] !== after[name]).map((name) => {
    const [measure, per] = name.split("_") as ["money" | "tokens", "day" | "month"];
    const text = after[name];
    const amount = measure === "money" ? { money: `${text} ${currency}` } : { tokens: Number(text) };
    return { measure, per, body: text === "" ? undefined : amount };
  });
}

function list(text: string): string[] | undefined {
  const items = text.split(/[\s,]+/).filter((item) => item !== "");
  return items.length > 0 ? items : undefined;
}

/** A key lasts until the end of a day in the reader's zone. */
function endOf(day: string): Date {
  return new Date(`${day}T23:59:59`);
}

/** The day of a time in the reader's zone, as a field of type `date` has it. */
function dayOf(time: string): string {
  const at = new Date(time);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}

import { z } from "zod";

import type { Configuration } from "@/features/configuration/use-configuration";
import { type BillingKeys, billingValue } from "@/features/plans/billing-text";

/** The fields of the form with their keys below `billing`. */
export const FIELDS = {
  name: "seller.name",
  address: "seller.address",
  taxNumber: "seller.tax_number",
  email: "seller.email",
  taxName: "tax.name",
  taxRate: "tax.rate",
  taxBase: "tax.base",
  taxFrom: "tax.from",
  number: "number",
  timezone: "timezone",
  review: "review",
  due: "due",
  grace: "grace",
  final: "final",
  fallbackPlan: "fallback_plan",
} as const;
export type BillingField = keyof typeof FIELDS;
export type BillingFields = Record<BillingField, string>;

const TAX: readonly BillingField[] = ["taxName", "taxRate", "taxBase", "taxFrom"];

/** The values in force; texts that are not set are empty. */
export function initialBilling(settings: Configuration["settings"]): BillingFields {
  const entries = Object.entries(FIELDS).map(([field, key]) => [field, String(billingValue(settings, key) ?? "")]);
  return Object.fromEntries(entries) as BillingFields;
}

/** The server checks the values. */
export const BILLING_SHAPE: z.ZodType<BillingFields> = z.object(
  Object.fromEntries(Object.keys(FIELDS).map((field) => [field, z.string().trim()])) as Record<BillingField, z.ZodString>,
);

/** The keys of the form. Empty fields are removed, and so is a tax without a name. */
export function keysOf(fields: BillingFields): BillingKeys {
  const isKept = (field: BillingField): boolean => fields[field] !== "" && (fields.taxName !== "" || !TAX.includes(field));
  return Object.fromEntries((Object.keys(FIELDS) as BillingField[]).map((field) => [FIELDS[field], isKept(field) ? fields[field] : undefined]));
}

/** The section `billing` as JSON, for a sample invoice. */
export function previewOf(fields: BillingFields): string {
  const root: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(keysOf(fields))) {
    if (value === undefined) continue;
    const [section = "", name] = key.split(".");
    if (name === undefined) root[section] = value;
    else root[section] = { ...(root[section] as object | undefined), [name]: value };
  }
  return JSON.stringify(root);
}

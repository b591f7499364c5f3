import { z } from "zod";

import { type PriceText, chargeOf, priceOf } from "@/features/plans/plan-text";
import { flowEnd } from "@/features/plans/flow-text";
import type { Plan } from "@/features/plans/use-plans";
import type { Messages } from "@/messages/en";

export const CURRENCIES = ["IDR", "USD"] as const;
const NANO_DIGITS = 9;

/** The texts of the form for the price of a plan. */
export function initialPrice(plan: Plan): Record<string, string> {
  const currency = plan.price?.currency ?? "IDR";
  const [amount = ""] = JSON.parse(priceOf(plan)?.price ?? '""').split(" ") as string[];
  return { amount, currency, interval: plan.interval ?? "month", trial: plan.trial_days ? String(plan.trial_days) : "" };
}

/** The charges of a plan, one a line. */
export function initialCharges({ charges, price }: Plan): string {
  return (charges ?? []).map((charge) => chargeOf(charge, price?.currency ?? "IDR")).join("\n");
}

export interface PriceFields {
  /** Undefined if the plan is not for sale. */
  price: { amount: bigint; currency: string; interval: "month" | "year"; trialDays: number; text: string } | undefined;
}

/** Reads the form. Without an amount, the plan is not for sale. */
export function priceShape(t: Messages): z.ZodType<PriceFields, Record<string, string>> {
  return z
    .object({ amount: z.string().trim(), currency: z.enum(CURRENCIES), interval: z.enum(["month", "year"]), trial: z.string().trim().regex(/^([1-9]\d{0,2})?$/, t.plans.trialWrong) })
    .superRefine(({ amount, currency }, context) => {
      const isRight = currency === "IDR" ? /^(\d{1,15})?$/.test(amount) : /^(\d{1,9}(\.\d{1,9})?)?$/.test(amount);
      if (!isRight) context.addIssue({ code: "custom", path: ["amount"], message: currency === "IDR" ? t.plans.rupiahWrong : t.plans.dollarsWrong });
    })
    .transform(({ amount, currency, interval, trial }): PriceFields => {
      if (amount === "") return { price: undefined };
      const [whole = "0", part = ""] = amount.split(".");
      const units = currency === "IDR" ? BigInt(amount) : BigInt(whole + part.padEnd(NANO_DIGITS, "0"));
      return { price: { amount: units, currency, interval, trialDays: Number(trial || 0), text: `${amount} ${currency}` } };
    });
}

/** The keys of the configuration. Undefined for charges that are not one mapping in braces a line. */
export function priceText({ price }: PriceFields, charges: string): { text: PriceText | undefined } | undefined {
  const lines = charges.split("\n").map((line) => line.trim()).filter((line) => line !== "");
  if (lines.some((line) => !line.startsWith("{") || flowEnd(line, 0) !== line.length)) return undefined;
  if (!price) return { text: undefined };
  return {
    text: {
      price: JSON.stringify(price.text),
      interval: price.interval,
      ...(price.trialDays > 0 ? { trial: `${price.trialDays}d` } : {}),
      ...(lines.length > 0 ? { charges: `[${lines.join(", ")}]` } : {}),
    },
  };
}

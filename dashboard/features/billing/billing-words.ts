import type { Invoice, Subscription } from "@/features/billing/use-billing";
import type { Schemas } from "@/lib/api";
import type { Format } from "@/lib/format";
import type { Messages } from "@/messages/en";

type PlanCharge = NonNullable<Schemas["Plan"]["charges"]>[number];

export type Tone = "ok" | "warn" | "bad" | "";

const SUBSCRIPTION_TONES: Record<string, Tone> = { trialing: "ok", active: "ok", pending: "warn", past_due: "warn", limited: "bad", closed: "bad", cancelled: "" };
const INVOICE_TONES: Record<string, Tone> = { paid: "ok", open: "warn", uncollectible: "bad", review: "", void: "" };

/** The tone and the word of a subscription's state. A state that this page does not know is shown as it is. */
export function subscriptionState({ state }: Pick<Subscription, "state">, t: Messages): [Tone, string] {
  return [SUBSCRIPTION_TONES[state] ?? "", t.billing.states[state] ?? state];
}

/** The tone and the word of an invoice's state; an open invoice after its time is overdue. */
export function invoiceState({ state, due_at: due }: Pick<Invoice, "state" | "due_at">, now: Date, t: Messages): [Tone, string] {
  if (state === "open" && due && new Date(due) < now) return ["bad", t.invoices.overdue];
  return [INVOICE_TONES[state] ?? "", t.invoices.states[state] ?? state];
}

/** A charge on usage in a few words, such as “300,000 credits included, then Rp0.5 each up to 1,000,000, then Rp0.3 each”. */
export function chargeText(charge: PlanCharge, currency: string, t: Messages, format: Format): string {
  const metric = charge.metric as keyof Messages["billing"]["units"];
  const unit = t.billing.units[metric] ?? charge.metric;
  const isCost = charge.metric === "cost";
  const included = charge.included === 0 ? [] : [t.billing.included(isCost ? format.bill({ amount: charge.included, currency: "USD" }) : `${format.whole(charge.included)} ${unit}`)];
  return [...included, ...priceTexts(charge, currency, t, format)].join(t.billing.then);
}

function priceTexts(charge: PlanCharge, currency: string, t: Messages, format: Format): string[] {
  const price = (decimal: string | null | undefined) => format.unitPrice(decimal ?? "0", currency);
  const unit = t.billing.unit[charge.metric as keyof Messages["billing"]["unit"]] ?? charge.metric;
  if (charge.model === "cost") return [charge.markup_percent ? t.billing.markup(format.percent(charge.markup_percent / 100)) : t.billing.atCost];
  if (charge.model === "package") return [t.billing.perPackage(price(charge.unit_price), format.whole(charge.size ?? 1), t.billing.units[charge.metric as keyof Messages["billing"]["units"]] ?? charge.metric)];
  if (charge.model === "tiered") {
    return (charge.tiers ?? []).map((tier) => {
      const each = t.billing.perUnit(price(tier.unit_price), unit);
      return tier.up_to === null || tier.up_to === undefined ? each : t.billing.upTo(each, format.whole(tier.up_to));
    });
  }
  return [t.billing.perUnit(price(charge.unit_price), unit)];
}

import type { Tone } from "@/features/billing/billing-words";
import type { Webhook, WebhookDelivery } from "@/features/webhooks/use-webhooks";
import type { Messages } from "@/messages/en";

const TONES: Record<string, Tone> = { waiting: "warn", delivered: "ok", failed: "bad" };

/** The events of billing by their object, as `docs/billing.md` lists them. */
export const EVENTS = {
  invoice: ["invoice.opened", "invoice.paid", "invoice.void", "invoice.uncollectible", "invoice.reopened", "invoice.credited"],
  payment: ["payment.paid", "payment.held", "payment.failed", "payment.reversed", "payment.refunded"],
  subscription: ["subscription.created", "subscription.changed"],
} as const;

export type EventGroup = keyof typeof EVENTS;
export const GROUPS = Object.keys(EVENTS) as EventGroup[];

/** The tone and the word of a webhook. */
export function webhookState({ enabled, failing }: Pick<Webhook, "enabled" | "failing">, t: Messages): [Tone, string] {
  if (!enabled) return ["bad", t.webhooks.disabled];
  return failing ? ["warn", t.webhooks.failing] : ["ok", t.webhooks.enabled];
}

/** The tone and the word of a delivery. */
export function deliveryState({ state }: Pick<WebhookDelivery, "state">, t: Messages): [Tone, string] {
  return [TONES[state] ?? "", t.webhooks.states[state] ?? state];
}

/** The chosen patterns after a choice: a pattern of several events replaces those that it contains. */
export function chosen(before: readonly string[], name: string, isOn: boolean): string[] {
  const rest = before.filter((other) => other !== name);
  if (!isOn) return rest;
  if (name === "*") return ["*"];
  const group = name.endsWith(".*") ? name.slice(0, -1) : undefined;
  return [...rest.filter((other) => group === undefined || !other.startsWith(group)), name];
}

/** Whether a pattern of several events already contains `name`. */
export function isIncluded(patterns: readonly string[], name: string): boolean {
  if (name !== "*" && patterns.includes("*")) return true;
  return !name.endsWith("*") && patterns.includes(`${name.split(".")[0] ?? ""}.*`);
}

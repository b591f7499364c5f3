import type { Tone } from "@/features/billing/billing-words";
import type { Payment } from "@/features/billing/use-billing";
import type { Messages } from "@/messages/en";

const TONES: Record<string, Tone> = { paid: "ok", created: "", pending: "warn", held: "warn", failed: "bad", reversed: "bad", charged_back: "bad", partly_refunded: "", refunded: "" };

/** The tone and the word of a payment's state; a failed payment says why. */
export function paymentState({ state, reason }: Pick<Payment, "state" | "reason">, t: Messages): [Tone, string] {
  const word = state === "failed" ? t.pay.reasons[reason ?? "refused"] : t.pay.states[state];
  return [TONES[state] ?? "", word ?? state];
}

/** The method of a payment, with the bank of an account number. */
export function methodText({ method, va }: Pick<Payment, "method" | "va">, t: Messages): string {
  return methodName(method, va?.bank, t);
}

/** A method, with the bank of an account number. */
export function methodName(method: string, bank: string | null | undefined, t: Messages): string {
  const name = t.pay.methods[method] ?? method;
  return bank ? `${name} · ${bankName(bank, t)}` : name;
}

/** The name of a bank as customers know it. */
export function bankName(bank: string, t: Messages): string {
  return t.pay.banks[bank] ?? bank.toUpperCase();
}

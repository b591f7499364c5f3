import type { Payment } from "@/features/billing/use-billing";

const WAITING: readonly string[] = ["created", "pending", "held"];
const REFUNDED: readonly string[] = ["partly_refunded", "refunded"];

/** Whether the provider may still report that the customer paid. */
export function isWaiting({ state }: Pick<Payment, "state">): boolean {
  return WAITING.includes(state);
}

/** Whether the customer paid, and got money back. */
export function isRefunded({ state }: Pick<Payment, "state">): boolean {
  return REFUNDED.includes(state);
}

/** The seconds until a payment cannot be begun any more, by the server's clock. */
export function secondsLeft({ expires_at: until }: Pick<Payment, "expires_at">, now: Date, clockDistanceMs: number): number {
  return Math.max(0, (Date.parse(until) - (now.getTime() - clockDistanceMs)) / 1000);
}

/** Whether a customer can pay with these instructions now. */
export function isPayable(payment: Payment, now: Date, clockDistanceMs: number): boolean {
  return isWaiting(payment) && secondsLeft(payment, now, clockDistanceMs) > 0;
}

/** Whether the provider has responded with a code, an account number or a page. */
export function hasInstructions({ qr_text: qr, va, redirect_url: page }: Payment): boolean {
  return Boolean(qr ?? va ?? page);
}

/** The payment that the page shows: the wanted one, else the newest one that can be paid now. */
export function shownPayment(payments: readonly Payment[], wanted: string, now: Date, clockDistanceMs: number): Payment | undefined {
  return payments.find(({ id }) => id === wanted) ?? payments.findLast((payment) => isPayable(payment, now, clockDistanceMs));
}

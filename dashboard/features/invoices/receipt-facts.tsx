import type { ReactNode } from "react";

import type { Invoice } from "@/features/billing/use-billing";
import { methodText } from "@/features/invoices/payment-words";
import type { Format } from "@/lib/format";
import type { Messages } from "@/messages/en";

/** The states of a payment whose money arrived. A refund comes after it. */
const RECEIVED = new Set(["paid", "partly_refunded", "refunded"]);

type Receipt = Pick<Invoice, "state" | "period" | "lines" | "payments">;

/** The payments of a paid invoice, and its lines and days; empty before it is paid. An invoice that the wallet paid alone has no payment. */
export function receiptFacts({ state, period, lines, payments }: Receipt, t: Messages, format: Format): [string, ReactNode][] {
  if (state !== "paid") return [];
  const received = (payments ?? []).filter((payment) => RECEIVED.has(payment.state));
  const texts = [...new Set((lines ?? []).map(({ text }) => text))];
  const days = `${format.utcFull(period.first_day)} – ${format.utcFull(period.last_day)}`;
  return [
    [t.invoices.paidBy, received.length > 0 && received.map((payment) => (
      <span key={payment.id} className="block">{methodText(payment, t)} · {format.bill(payment.amount)} · <span className="mono">{payment.order_id}</span></span>
    ))],
    [t.invoices.paidFor, <><bdi>{texts.join(", ")}</bdi>{texts.length > 0 && " · "}{days}</>],
  ];
}

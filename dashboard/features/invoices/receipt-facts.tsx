import type { ReactNode } from "react";

import type { Invoice } from "@/features/billing/use-billing";
import { methodName } from "@/features/invoices/payment-words";
import type { Format } from "@/lib/format";
import type { Messages } from "@/messages/en";

type Receipt = Pick<Invoice, "state" | "period" | "lines" | "payments" | "paid_at" | "paid_by">;

/** The order of a payment at the payment provider; an empty text for money of the wallet. */
export function orderOf({ payments }: Pick<Invoice, "payments">, id: string | null | undefined): string {
  return (payments ?? []).find((payment) => payment.id === id)?.order_id ?? "";
}

/** The time and the methods of the payment of a paid invoice, and its lines and days; empty before it is paid. Orders are shown on pages without a list of payments. */
export function receiptFacts(invoice: Receipt, t: Messages, format: Format, withOrders = false): [string, ReactNode][] {
  if (invoice.state !== "paid") return [];
  const received = invoice.paid_by ?? [];
  const texts = [...new Set((invoice.lines ?? []).map(({ text }) => text))];
  const days = `${format.utcFull(invoice.period.first_day)} – ${format.utcFull(invoice.period.last_day)}`;
  return [
    [t.invoices.paidOn, invoice.paid_at && format.moment(invoice.paid_at)],
    [t.invoices.paidBy, received.length > 0 && received.map((money, place) => {
      const order = withOrders ? orderOf(invoice, money.payment_id) : "";
      return (
        <span key={money.payment_id ?? place} className="block">
          {methodName(money.method, money.bank, t)} · {format.bill(money.amount)}
          {order && <> · <span className="mono">{order}</span></>}
        </span>
      );
    })],
    [t.invoices.paidFor, <><bdi>{texts.join(", ")}</bdi>{texts.length > 0 && " · "}{days}</>],
  ];
}

"use client";

import { StateTag } from "@/features/billing/state-tag";
import type { Payment } from "@/features/billing/use-billing";
import { methodText, paymentState } from "@/features/invoices/payment-words";
import { useFormat, useMessages } from "@/lib/language";

/** The payments of an invoice, from the newest. */
export function PaymentList({ payments }: { payments: Payment[] }) {
  const t = useMessages();
  const format = useFormat();
  if (payments.length === 0) return <p className="hint">{t.invoices.noPayments}</p>;
  return (
    <ul className="payments">
      {[...payments].reverse().map((payment) => (
        <li key={payment.id}>
          <b className="med">{methodText(payment, t)}</b>
          <span className="num nowrap">{format.bill(payment.amount)}</span>
          <span className="sub mono">{payment.order_id}</span>
          <StateTag of={paymentState(payment, t)} />
        </li>
      ))}
    </ul>
  );
}

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
          <span className="min-w-0">
            <b className="med">{methodText(payment, t)}</b>
            <span className="sub mono">{payment.order_id}</span>
          </span>
          <span className="num push">{format.bill(payment.amount)}</span>
          <StateTag of={paymentState(payment, t)} />
        </li>
      ))}
    </ul>
  );
}

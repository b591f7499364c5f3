"use client";

import { Button } from "@/components/ui/button";
import { Failure } from "@/components/ui/states";
import { StateTag } from "@/features/billing/state-tag";
import { useOddPayments } from "@/features/billing-admin/use-billing-admin";
import { methodText, paymentState } from "@/features/invoices/payment-words";
import { useFormat, useMessages } from "@/lib/language";

/** Payments that a fraud check holds or that a bank took back; nothing without one. */
export function OddPayments({ onOpen }: { onOpen(invoice: string): void }) {
  const t = useMessages();
  const format = useFormat();
  const odd = useOddPayments();
  if (odd.isError && !odd.data) return <section className="panel"><Failure error={odd.error} onRetry={() => void odd.refetch()} /></section>;
  if (!odd.data || odd.data.length === 0) return null;
  return (
    <section className="panel" aria-labelledby="odd">
      <div className="ph"><h2 id="odd">{t.billingAdmin.odd}</h2></div>
      <ul className="list">
        {odd.data.map(({ user, invoice_id: invoice, payment }) => (
          <li key={payment.id}>
            <div className="body">
              <b><bdi>{user.name}</bdi> · {methodText(payment, t)} · {format.bill(payment.amount)}</b>
              <span className="mono">{payment.order_id}</span>
            </div>
            <StateTag of={paymentState(payment, t)} />
            {invoice && <Button size="small" aria-label={`${t.pay.showInvoice} ${payment.order_id}`} onClick={() => onOpen(invoice)}>{t.pay.showInvoice}</Button>}
          </li>
        ))}
      </ul>
    </section>
  );
}

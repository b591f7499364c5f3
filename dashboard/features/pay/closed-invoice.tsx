"use client";

import { CircleCheck } from "lucide-react";
import Link from "next/link";

import { buttonClass } from "@/components/ui/button";
import { Facts } from "@/components/ui/facts";
import { Note } from "@/components/ui/note";
import { Empty } from "@/components/ui/states";
import type { Invoice } from "@/features/billing/use-billing";
import { receiptFacts } from "@/features/invoices/receipt-facts";
import { apiAddress } from "@/lib/api";
import { useFormat, useMessages } from "@/lib/language";

/** An invoice that cannot be paid, or not any more: it is paid, void, written off or not opened yet. */
export function ClosedInvoice({ invoice }: { invoice: Invoice }) {
  const t = useMessages();
  const format = useFormat();
  const billing = <Link className={buttonClass({ look: "primary" })} href="/dashboard/billing">{t.invoices.toBilling}</Link>;
  const paid = (invoice.payments ?? []).filter(({ state }) => state === "paid").reduce((sum, { amount }) => sum + amount.amount, 0);
  const surplus = invoice.state === "paid" ? paid - invoice.total.amount : 0;
  if (invoice.state !== "paid") {
    return <section className="panel"><Empty title={t.pay.closed[invoice.state] ?? t.pay.closed.void ?? ""} action={billing}>{t.pay.closedText}</Empty></section>;
  }
  return (
    <section className="panel" aria-label={t.pay.how}>
      <div className="empty" role="status">
        <span className="badge ok"><CircleCheck className="i" aria-hidden /></span>
        <h2>{t.pay.paid(invoice.number ?? "")}</h2>
        <p>{t.pay.paidText}</p>
        <div className="row">
          {billing}
          {invoice.number && <a className={buttonClass({})} href={apiAddress(`/api/invoices/${invoice.id}/pdf`)} download>{t.invoices.pdfText}</a>}
        </div>
      </div>
      <div className="pad"><Facts facts={receiptFacts(invoice, t, format, true)} /></div>
      {surplus > 0 && <div className="pad"><Note title={t.pay.surplus(format.bill({ amount: surplus, currency: invoice.currency }))}>{t.pay.surplusText}</Note></div>}
    </section>
  );
}

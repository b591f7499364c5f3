"use client";

import Link from "next/link";

import { buttonClass } from "@/components/ui/button";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { BillingShell } from "@/features/billing/billing-shell";
import { useInvoice } from "@/features/billing/use-billing";
import { InvoiceLines } from "@/features/invoices/invoice-lines";
import { ClosedInvoice } from "@/features/pay/closed-invoice";
import { OpenInvoice } from "@/features/pay/open-invoice";
import { TopUp, TopUpPayment } from "@/features/pay/top-up";
import { useFormat, useMessages } from "@/lib/language";
import { useUrlState } from "@/lib/url-state";

/** The payment of one invoice, or into the wallet. The page follows it until it is paid, here or in another tab. */
export function PayPage() {
  return (
    <BillingShell page="pay">
      <Payment />
    </BillingShell>
  );
}

function Payment() {
  const t = useMessages();
  const format = useFormat();
  const { get } = useUrlState();
  const id = get("id");
  const invoice = useInvoice(id, true);
  const { data } = invoice;
  const list = <Link className={buttonClass({ look: "primary" })} href="/dashboard/invoices">{t.billing.allInvoices}</Link>;
  const topUp = Number(get("topup"));
  if (id === "" && Number.isSafeInteger(topUp) && topUp > 0) return <TopUp amount={topUp} />;
  if (id === "" && get("payment") !== "") return <TopUpPayment key={get("payment")} id={get("payment")} />;
  if (id === "") return <section className="panel"><Empty title={t.pay.noInvoice} action={list}>{t.pay.noInvoiceText}</Empty></section>;
  if (!data) {
    return (
      <section className="panel">
        {invoice.isPending && <SkeletonRows rows={6} height={52} />}
        {invoice.isError && (invoice.error.status === 404 ? <Empty title={t.invoices.missing} action={list} /> : <Failure error={invoice.error} onRetry={() => void invoice.refetch()} />)}
      </section>
    );
  }
  return (
    <div className="pay">
      {data.state === "open" ? <OpenInvoice invoice={data} /> : <ClosedInvoice invoice={data} />}
      <section className="panel" aria-labelledby="invoice">
        <div className="ph">
          <h2 id="invoice" className="trunc">{data.number ?? t.invoices.noNumber}</h2>
          <Link className="link sm push" href={`/dashboard/invoices?id=${data.id}`}>{t.pay.showInvoice}</Link>
        </div>
        <div className="pad">
          <InvoiceLines invoice={data} />
          {data.remaining.amount !== data.total.amount && data.state === "open" && <p className="row mt-2"><span>{t.invoices.remaining}</span><b className="num push">{format.bill(data.remaining)}</b></p>}
        </div>
        {data.due_at && data.state === "open" && <div className="pf"><span>{t.pay.due(format.moment(data.due_at))}</span></div>}
      </section>
    </div>
  );
}

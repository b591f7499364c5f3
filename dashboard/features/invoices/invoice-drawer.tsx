"use client";

import Link from "next/link";
import type { ReactNode } from "react";

import { buttonClass } from "@/components/ui/button";
import { CopyButton } from "@/components/ui/copy-button";
import { Drawer } from "@/components/ui/drawer";
import { Facts } from "@/components/ui/facts";
import { Note } from "@/components/ui/note";
import { Failure, SkeletonRows } from "@/components/ui/states";
import { invoiceState } from "@/features/billing/billing-words";
import { StateTag } from "@/features/billing/state-tag";
import { type Invoice, useInvoice } from "@/features/billing/use-billing";
import { CreditNotes } from "@/features/invoices/credit-notes";
import { InvoiceLines } from "@/features/invoices/invoice-lines";
import { PaymentList } from "@/features/invoices/payment-list";
import { receiptFacts } from "@/features/invoices/receipt-facts";
import { apiAddress } from "@/lib/api";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";

/** An invoice with its lines, its tax and its payments. */
export function InvoiceDrawer({ id, onClose }: { id: string; onClose(): void }) {
  const t = useMessages();
  const now = useNow();
  const invoice = useInvoice(id);
  const { data } = invoice;
  const title = data ? (
    <>
      <span className="trunc">{data.number ?? t.invoices.noNumber}</span>
      <StateTag of={invoiceState(data, now, t)} />
    </>
  ) : t.invoices.invoice;
  const copy = data?.number && <CopyButton text={data.number} what={t.invoices.number} />;
  return (
    <Drawer title={title} sub={data && (t.invoices.kinds[data.kind] ?? data.kind)} actions={copy} onClose={onClose}>
      {invoice.isPending && <SkeletonRows rows={8} />}
      {invoice.isError && !data && (
        invoice.error.status === 404 ? (
          <section>
            <Note title={t.invoices.missing} />
          </section>
        ) : (
          <Failure error={invoice.error} onRetry={() => void invoice.refetch()} />
        )
      )}
      {data && <Content invoice={data} />}
    </Drawer>
  );
}

function Content({ invoice }: { invoice: Invoice }) {
  const t = useMessages();
  const format = useFormat();
  const facts: [string, ReactNode][] = [
    [t.invoices.period, `${format.utcFull(invoice.period.first_day)} – ${format.utcFull(invoice.period.last_day)}`],
    [t.invoices.issued, invoice.issued_at && format.moment(invoice.issued_at)],
    [t.invoices.due, invoice.due_at && format.moment(invoice.due_at)],
    ...receiptFacts(invoice, t, format),
    [t.invoices.reason, invoice.reason && <bdi key="v">{invoice.reason}</bdi>],
    [t.invoices.taxNumber, invoice.tax_invoice_number],
    [t.invoices.pdf, invoice.number && <a key="v" className="link" href={apiAddress(`/api/invoices/${invoice.id}/pdf`)} download>{t.invoices.pdfText}</a>],
    [t.invoices.page, invoice.number && <a key="v" className="link" href={apiAddress(`/api/invoices/${invoice.id}/html`)} target="_blank" rel="noreferrer">{t.invoices.pageText}</a>],
    [t.invoices.receipt, invoice.number && <a key="v" className="link" href={apiAddress(`/api/invoices/${invoice.id}/receipt`)} download>{t.invoices.receiptText}</a>],
  ];
  return (
    <>
      <section className="sum">
        {([[t.invoices.total, invoice.total], [t.invoices.remaining, invoice.remaining]] as const).map(([name, money]) => (
          <div key={name}>
            <span className="hint">{name}</span>
            <b className="num">{format.bill(money)}</b>
          </div>
        ))}
      </section>
      {invoice.state === "open" && (
        <section>
          <Link className={buttonClass({ look: "primary" })} href={`/dashboard/pay?id=${invoice.id}`}>{t.billing.payInvoice(invoice.number ?? "")}</Link>
        </section>
      )}
      <section>
        <h3>{t.invoices.lines}</h3>
        <InvoiceLines invoice={invoice} />
      </section>
      <section>
        <h3>{t.invoices.payments}</h3>
        <PaymentList payments={invoice.payments ?? []} />
      </section>
      <CreditNotes notes={invoice.credit_notes ?? []} page="invoices" />
      <section>
        <h3>{t.invoices.details}</h3>
        <Facts facts={facts} />
      </section>
    </>
  );
}

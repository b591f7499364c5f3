"use client";

import dynamic from "next/dynamic";
import Link from "next/link";
import { useState } from "react";

import { Button } from "@/components/ui/button";
import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { Drawer } from "@/components/ui/drawer";
import { Facts } from "@/components/ui/facts";
import { Note } from "@/components/ui/note";
import { Failure, SkeletonRows } from "@/components/ui/states";
import { invoiceState } from "@/features/billing/billing-words";
import { StateTag } from "@/features/billing/state-tag";
import type { Invoice } from "@/features/billing/use-billing";
import { type InvoiceDecision, useAnyInvoice, useInvoiceActions } from "@/features/billing-admin/use-billing-admin";
import { CreditNotes } from "@/features/invoices/credit-notes";
import { InvoiceLines } from "@/features/invoices/invoice-lines";
import { PaymentList } from "@/features/invoices/payment-list";
import { receiptFacts } from "@/features/invoices/receipt-facts";
import { useFormat, useMessages } from "@/lib/language";
import { useLater } from "@/lib/later";
import { useNow } from "@/lib/now";

const creditDialog = () => import("@/features/billing-admin/credit-dialog");
const CreditDialog = dynamic(() => creditDialog().then((module) => module.CreditDialog));
const refundDialog = () => import("@/features/billing-admin/refund-dialog");
const RefundDialog = dynamic(() => refundDialog().then((module) => module.RefundDialog));

/** An invoice of any user, and what finance can do with it. */
export function AdminInvoiceDrawer({ id, onClose }: { id: string; onClose(): void }) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const invoice = useAnyInvoice(id);
  const { data } = invoice;
  const title = data ? (
    <>
      <span className="trunc">{data.number ?? t.invoices.noNumber}</span>
      <StateTag of={invoiceState(data, now, t)} />
    </>
  ) : t.invoices.invoice;
  return (
    <Drawer title={title} sub={data && (t.invoices.kinds[data.kind] ?? data.kind)} onClose={onClose}>
      {invoice.isPending && <SkeletonRows rows={8} />}
      {invoice.isError && !data && (invoice.error.status === 404 ? <section><Note title={t.billingAdmin.missing} /></section> : <Failure error={invoice.error} onRetry={() => void invoice.refetch()} />)}
      {data && (
        <>
          <UnsignedDays days={data.unsigned_days ?? []} />
          <Actions invoice={data} />
          <section>
            <h3>{t.invoices.lines}</h3>
            <InvoiceLines invoice={data} />
          </section>
          <section>
            <h3>{t.invoices.payments}</h3>
            <PaymentList payments={data.payments ?? []} />
            <Facts facts={receiptFacts(data, t, format)} />
          </section>
          <CreditNotes notes={data.credit_notes ?? []} page="billing-admin" />
        </>
      )}
    </Drawer>
  );
}

/** The number of days that the drawer lists. */
const DAYS_MAX = 31;

type Task = InvoiceDecision | "credit" | "refund";

/** The days that an invoice waits for, each with a link to its review; nothing without one. */
function UnsignedDays({ days }: { days: NonNullable<Invoice["unsigned_days"]> }) {
  const t = useMessages();
  const format = useFormat();
  if (days.length === 0) return null;
  return (
    <section>
      <Note title={t.billingAdmin.unsigned(format.count(days.length))}>{t.billingAdmin.unsignedText}</Note>
      <dl className="dl">
        {days.slice(0, DAYS_MAX).map(({ day, state }) => (
          <div key={day} className="contents">
            <dt><Link className="num hover:underline" href={`/dashboard/review?day=${day}`}>{day}</Link></dt>
            <dd>{t.review.states[state]}</dd>
          </div>
        ))}
      </dl>
      {days.length > DAYS_MAX && <p className="t3 sm">{t.billingAdmin.moreDays(format.count(days.length - DAYS_MAX))}</p>}
    </section>
  );
}

/** The tasks that the state of an invoice permits. One that waits for days opens by itself. */
export function tasksOf({ state, kind, total, remaining, unsigned_days: days }: Pick<Invoice, "state" | "kind" | "total" | "remaining" | "unsigned_days">): Task[] {
  if (state === "review") return days && days.length > 0 ? ["void"] : ["approve", "void"];
  if (kind === "credit_note") return [];
  if (state === "open") return remaining.amount === total.amount ? ["credit", "write-off", "void"] : ["credit", "write-off"];
  return state === "paid" ? ["credit", "refund"] : [];
}

function Actions({ invoice }: { invoice: Invoice }) {
  const t = useMessages();
  const { decide } = useInvoiceActions(invoice.id);
  useLater(creditDialog);
  useLater(refundDialog);
  const [asked, setAsked] = useState<Task>();
  const tasks = tasksOf(invoice);
  const close = () => setAsked(undefined);
  const number = invoice.number ?? t.invoices.noNumber;
  const decision = asked === "approve" || asked === "void" || asked === "write-off" ? asked : undefined;
  if (tasks.length === 0) return null;
  return (
    <section>
      <div className="row wrap">
        {tasks.map((task) => (
          <Button key={task} look={task === "approve" ? "primary" : task === "void" || task === "write-off" ? "danger" : "plain"} onClick={() => setAsked(task)}>{t.billingAdmin.tasks[task]}</Button>
        ))}
      </div>
      {decision && (
        <ConfirmDialog
          title={`${t.billingAdmin.tasks[decision]}: ${number}`}
          text={t.billingAdmin.taskTexts[decision]}
          action={t.billingAdmin.tasks[decision]}
          look={decision === "approve" ? "primary" : "danger"}
          isBusy={decide.isPending}
          error={decide.error}
          onConfirm={() => decide.mutate(decision, { onSuccess: close })}
          onClose={close}
        />
      )}
      {asked === "credit" && <CreditDialog invoice={invoice} onClose={close} />}
      {asked === "refund" && <RefundDialog invoice={invoice} onClose={close} />}
    </section>
  );
}

"use client";

import Link from "next/link";
import { useState } from "react";

import { Button, buttonClass } from "@/components/ui/button";
import { FailedNote } from "@/components/ui/failed-note";
import { Note } from "@/components/ui/note";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { StateTag } from "@/features/billing/state-tag";
import { CancelDialog } from "@/features/billing/cancel-dialog";
import { subscriptionState } from "@/features/billing/billing-words";
import { type Invoice, type Subscription, useInvoices, useSubscription, useSubscriptionChanges } from "@/features/billing/use-billing";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";

/** The subscription of the reader: its plan, its state, the next invoice and the wallet. */
export function SubscriptionPanel() {
  const t = useMessages();
  const subscription = useSubscription();
  const { data } = subscription;
  return (
    <>
      <Attention subscription={data} />
      <section className="panel" aria-labelledby="subscription">
        <div className="ph">
          <h2 id="subscription">{t.billing.subscription}</h2>
          {data && <StateTag of={subscriptionState(data, t)} />}
          <Link className="link sm push" href="/dashboard/invoices">{t.billing.allInvoices}</Link>
        </div>
        {subscription.isPending && <SkeletonRows rows={2} height={52} />}
        {subscription.isError && data === undefined && <Failure error={subscription.error} onRetry={() => void subscription.refetch()} />}
        {data === null && <Empty title={t.billing.none}>{t.billing.noneText}</Empty>}
        {data && <Figures subscription={data} />}
      </section>
    </>
  );
}

function Figures({ subscription }: { subscription: Subscription }) {
  const t = useMessages();
  const format = useFormat();
  const { price, interval, period } = subscription;
  const end = subscription.next_invoice_on ? t.billing.renews : t.billing.ends(format.utcFull(period.last_day));
  const figures = [
    [t.billing.plan, subscription.plan, t.billing.accesses[subscription.access] ?? subscription.access],
    [t.billing.price, format.bill(price), t.billing.per[interval as "month" | "year"] ?? interval],
    [t.billing.nextInvoice, subscription.next_invoice_on ? format.utcFull(subscription.next_invoice_on) : NONE, subscription.next_plan ? t.billing.nextPlan(subscription.next_plan) : end],
    [t.billing.wallet, format.bill(subscription.wallet), t.billing.walletText],
  ] as const;
  return (
    <>
      <dl className="bill-figs">
        {figures.map(([name, value, note]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd className="v"><bdi>{value}</bdi></dd>
            <dd className="d">{note}</dd>
          </div>
        ))}
      </dl>
      <div className="pf">
        <span>{t.billing.period(format.utcFull(period.first_day), format.utcFull(period.last_day))}</span>
        {subscription.trial_last_day && <span>{t.billing.trialUntil(format.utcFull(subscription.trial_last_day))}</span>}
        <EndButton subscription={subscription} />
      </div>
    </>
  );
}

/** Ends the subscription, or takes the planned end back. */
function EndButton({ subscription }: { subscription: Subscription }) {
  const t = useMessages();
  const { resume } = useSubscriptionChanges();
  const [isAsked, setAsked] = useState(false);
  if (subscription.cancel_at_end) {
    return (
      <>
        <FailedNote title={t.billing.notResumed} error={resume.error} />
        <Button size="small" className="push" disabled={resume.isPending} onClick={() => resume.mutate()}>{t.billing.resume}</Button>
      </>
    );
  }
  return (
    <>
      <Button size="small" className="push" onClick={() => setAsked(true)}>{t.billing.cancel}</Button>
      {isAsked && <CancelDialog subscription={subscription} onClose={() => setAsked(false)} />}
    </>
  );
}

/** What must be paid, with its effect and the button that leads to the payment. */
function Attention({ subscription }: { subscription: Subscription | null | undefined }) {
  const t = useMessages();
  const format = useFormat();
  const open = (useInvoices("open").data?.pages ?? []).flatMap((page) => page.items);
  const state = subscription?.state ?? "";
  const effect = t.billing.effects[state];
  return open.map((invoice) => (
    <Note key={invoice.id} tone={state === "limited" || state === "closed" ? "bad" : "warn"} title={title(invoice)}>
      {effect && <p>{effect}</p>}
      <p className="mt-2">
        <Link className={buttonClass({ size: "small", look: "primary" })} href={`/dashboard/pay?id=${invoice.id}`}>{t.billing.payInvoice(invoice.number ?? "")}</Link>
      </p>
    </Note>
  ));

  function title(invoice: Invoice): string {
    const amount = format.bill(invoice.remaining);
    return invoice.due_at ? t.billing.openUntil(invoice.number ?? "", amount, format.moment(invoice.due_at)) : t.billing.open(invoice.number ?? "", amount);
  }
}

"use client";

import { Check } from "lucide-react";
import { useRouter } from "next/navigation";
import { useState } from "react";

import { Button } from "@/components/ui/button";
import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { chargeText } from "@/features/billing/billing-words";
import { ChangeDialog } from "@/features/billing/change-dialog";
import { type Subscription, useSubscription, useSubscriptionChanges } from "@/features/billing/use-billing";
import { limitTexts } from "@/features/plans/plan-words";
import { type Plan, usePlans } from "@/features/plans/use-plans";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";

type Priced = Plan & Required<Pick<Plan, "price" | "interval">>;

/** The plans that are for sale, and the choice of one. */
export function PlanOffers() {
  const t = useMessages();
  const plans = usePlans();
  const subscription = useSubscription().data;
  // A new subscription is read while its dialog leads to the payment: the dialog stays the same.
  const [asked, setAsked] = useState<{ plan: Priced; isChange: boolean }>();
  const sold = (plans.data ?? []).filter((plan): plan is Priced => plan.for_sale && Boolean(plan.price));
  sold.sort((one, other) => perYear(one) - perYear(other));
  return (
    <section className="panel" aria-labelledby="offers">
      <div className="ph"><h2 id="offers">{t.billing.plans}</h2></div>
      {plans.isPending && <SkeletonRows rows={3} height={52} />}
      {plans.isError && !plans.data && <Failure error={plans.error} onRetry={() => void plans.refetch()} />}
      {plans.data && sold.length === 0 && <Empty title={t.billing.noPlans}>{t.billing.noPlansText}</Empty>}
      {sold.length > 0 && (
        <ul className="offers">
          {sold.map((plan) => <Offer key={plan.id} plan={plan} subscription={subscription} onChoose={() => setAsked({ plan, isChange: Boolean(subscription) })} />)}
        </ul>
      )}
      {asked && !asked.isChange && <SubscribeDialog plan={asked.plan} onClose={() => setAsked(undefined)} />}
      {asked?.isChange && subscription && <ChangeDialog plan={asked.plan.name} subscription={subscription} onClose={() => setAsked(undefined)} />}
    </section>
  );
}

function perYear({ price, interval }: Priced): number {
  return (price?.amount ?? 0) * (interval === "month" ? 12 : 1);
}

function Offer({ plan, subscription, onChoose }: { plan: Priced; subscription: Subscription | null | undefined; onChoose(): void }) {
  const t = useMessages();
  const format = useFormat();
  const currency = plan.price?.currency ?? "";
  const isCurrent = subscription?.plan === plan.name;
  const isNext = subscription?.next_plan === plan.name;
  // The present plan takes a planned change back.
  const mayChange = subscription?.state === "active" && !isNext && (!isCurrent || Boolean(subscription.next_plan));
  const limits = limitTexts(plan, t, format).slice(0, 3).filter(([, text]) => text !== NONE);
  return (
    <li aria-current={isCurrent || undefined}>
      <h3><bdi>{plan.name}</bdi></h3>
      <p className="price">
        <b>{plan.price && format.bill(plan.price)}</b> <span className="t3 sm">{t.billing.per[plan.interval as "month" | "year"]}</span>
      </p>
      {Boolean(plan.trial_days) && <p className="sm t2">{t.billing.trial(plan.trial_days ?? 0)}</p>}
      <dl>
        {limits.map(([name, text]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{text}</dd>
          </div>
        ))}
        {(plan.charges ?? []).map((charge) => (
          <div key={charge.name}>
            <dt><bdi>{charge.name}</bdi></dt>
            <dd>{chargeText(charge, currency, t, format)}</dd>
          </div>
        ))}
      </dl>
      {isCurrent && <p className="row ok md mt-auto"><Check className="i s" aria-hidden />{t.billing.current}</p>}
      {isNext && <p className="row t2 md mt-auto">{t.billing.begins(format.utcFull(subscription.next_invoice_on ?? subscription.period.last_day))}</p>}
      {subscription === null && <Button look="primary" className="mt-auto" onClick={onChoose}>{t.billing.choose(plan.name)}</Button>}
      {mayChange && <Button className="mt-auto" onClick={onChoose}>{isCurrent ? t.billing.keep(plan.name) : t.billing.changeTo(plan.name)}</Button>}
    </li>
  );
}

/** Asks before an invoice is opened. Its payment is the next step. */
function SubscribeDialog({ plan, onClose }: { plan: Priced; onClose(): void }) {
  const t = useMessages();
  const format = useFormat();
  const router = useRouter();
  const { subscribe } = useSubscriptionChanges();
  const isFree = plan.price?.amount === 0;
  const price = `${plan.price ? format.bill(plan.price) : ""} ${t.billing.per[plan.interval as "month" | "year"]}`;
  const onSuccess = ({ invoice_id: invoice }: Subscription) => {
    if (invoice) router.push(`/dashboard/pay?id=${invoice}`);
    else onClose();
  };
  return (
    <ConfirmDialog
      title={t.billing.choose(plan.name)}
      text={isFree ? t.billing.chooseFree : plan.trial_days ? t.billing.chooseTrial(plan.trial_days, price) : t.billing.choosePaid(price)}
      action={t.billing.choose(plan.name)}
      look="primary"
      isBusy={subscribe.isPending || subscribe.isSuccess}
      error={subscribe.error}
      onConfirm={() => subscribe.mutate(plan.name, { onSuccess })}
      onClose={onClose}
    />
  );
}

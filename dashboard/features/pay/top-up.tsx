"use client";

import { CircleCheck } from "lucide-react";
import Link from "next/link";

import { buttonClass } from "@/components/ui/button";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import type { Payment } from "@/features/billing/use-billing";
import { EndedPayment } from "@/features/pay/ended-payment";
import { Instructions } from "@/features/pay/instructions";
import { MethodChoice } from "@/features/pay/method-choice";
import { isPayable, isRefunded } from "@/features/pay/pay-state";
import { usePaymentOf, useTopUp } from "@/features/pay/use-payment";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";
import { useClockDistance } from "@/lib/server-clock";
import { useUrlState } from "@/lib/url-state";

/** A payment into the wallet: the choice of a method for an amount in rupiah. */
export function TopUp({ amount }: { amount: number }) {
  const t = useMessages();
  const format = useFormat();
  const { set } = useUrlState();
  const pay = useTopUp(amount);
  return (
    <section className="panel" aria-label={t.pay.how}>
      <p className="p-4 pb-0">{t.pay.topUp(format.bill({ amount, currency: "IDR" }))}</p>
      <MethodChoice amount={amount} pay={pay} onBegun={({ id }) => set({ payment: id, topup: "" })} />
    </section>
  );
}

/** A payment into the wallet that was begun. */
export function TopUpPayment({ id }: { id: string }) {
  const t = useMessages();
  const payment = usePaymentOf(id);
  const { data } = payment;
  const billing = <Link className={buttonClass({ look: "primary" })} href="/dashboard/billing">{t.invoices.toBilling}</Link>;
  return (
    <section className="panel" aria-label={t.pay.how}>
      {payment.isPending && <SkeletonRows rows={6} height={52} />}
      {payment.isError && !data && (payment.error.status === 404 ? <Empty title={t.pay.missing} action={billing} /> : <Failure error={payment.error} onRetry={() => void payment.refetch()} />)}
      {data && <Followed payment={data} />}
    </section>
  );
}

function Followed({ payment }: { payment: Payment }) {
  const t = useMessages();
  const format = useFormat();
  const { set } = useUrlState();
  const [now, distance] = [useNow(1_000), useClockDistance()];
  const pay = useTopUp(payment.amount.amount);
  const choose = () => set({ topup: String(payment.amount.amount), payment: "" });
  if (payment.state === "paid") {
    return (
      <div className="empty" role="status">
        <span className="badge ok"><CircleCheck className="i" aria-hidden /></span>
        <h2>{t.pay.toppedUp(format.bill(payment.amount))}</h2>
        <p>{t.pay.toppedUpText}</p>
        <div className="row"><Link className={buttonClass({ look: "primary" })} href="/dashboard/billing">{t.invoices.toBilling}</Link></div>
      </div>
    );
  }
  if (isPayable(payment, now, distance)) return <Instructions payment={payment} pay={pay} onOther={choose} />;
  return (
    <>
      <EndedPayment payment={payment} />
      {!isRefunded(payment) && <MethodChoice amount={payment.amount.amount} pay={pay} onBegun={({ id }) => set({ payment: id })} />}
    </>
  );
}

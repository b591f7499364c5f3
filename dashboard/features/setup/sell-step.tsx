"use client";

import dynamic from "next/dynamic";
import Link from "next/link";
import { useState } from "react";

import { Button, buttonClass } from "@/components/ui/button";
import { Failure, SkeletonRows } from "@/components/ui/states";
import { usePlans } from "@/features/plans/use-plans";
import { useFormat, useMessages } from "@/lib/language";
import { useSite } from "@/lib/queries";

const SellerPanel = dynamic(() => import("@/features/plans/seller-panel").then((module) => module.SellerPanel));
const PriceDialog = dynamic(() => import("@/features/plans/price-dialog").then((module) => module.PriceDialog));

/** Sells plans: the seller, the price of each plan, and the way to a first subscription. */
export function SellStep() {
  const t = useMessages();
  const format = useFormat();
  const site = useSite().data;
  const plans = usePlans(site?.billing === true);
  const [opened, setOpened] = useState("");
  const plan = plans.data?.find(({ name }) => name === opened);
  return (
    <>
      <p className="t2 md max-w-[62ch]">{t.setup.sellText}</p>
      <SellerPanel />
      {site?.billing && plans.isPending && <SkeletonRows rows={3} />}
      {plans.isError && !plans.data && <Failure error={plans.error} onRetry={() => void plans.refetch()} />}
      {plans.data && (
        <ul className="list" aria-label={t.frame.plans}>
          {plans.data.map((sold) => (
            <li key={sold.id}>
              <div className="body">
                <b className="trunc" title={sold.name}>{sold.name}</b>
                <span>{sold.price ? t.plans.priceOf(format.bill(sold.price), t.plans.intervals[sold.interval === "year" ? "year" : "month"]) : t.plans.notForSale}</span>
              </div>
              <Button size="small" aria-label={t.plans.priceTitle(sold.name)} onClick={() => setOpened(sold.name)}>{t.plans.editPrice}</Button>
            </li>
          ))}
        </ul>
      )}
      {plans.data?.some(({ for_sale: isSold }) => isSold) && (
        <div className="row wrap">
          <Link className={buttonClass({ look: "primary" })} href="/dashboard/billing">{t.setup.trySubscription}</Link>
          <Link className={buttonClass({})} href="/dashboard/plans">{t.setup.toPlans}</Link>
        </div>
      )}
      {plan && <PriceDialog key={plan.name} plan={plan} plans={plans.data ?? []} onClose={() => setOpened("")} />}
    </>
  );
}

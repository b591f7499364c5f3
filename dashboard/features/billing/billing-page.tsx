"use client";

import { BillingShell } from "@/features/billing/billing-shell";
import { PlanOffers } from "@/features/billing/plan-offers";
import { SubscriptionPanel } from "@/features/billing/subscription-panel";

/** What the reader pays for: the subscription, what must be paid, and the plans that are for sale. */
export function BillingPage() {
  return (
    <BillingShell page="billing">
      <SubscriptionPanel />
      <PlanOffers />
    </BillingShell>
  );
}

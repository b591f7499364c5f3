"use client";

import { BillingShell } from "@/features/billing/billing-shell";
import { PlanOffers } from "@/features/billing/plan-offers";
import { SubscriptionPanel } from "@/features/billing/subscription-panel";
import { WalletPanel } from "@/features/billing/wallet-panel";

/** What the reader pays for: the subscription, what must be paid, the plans that are for sale, and the wallet. */
export function BillingPage() {
  return (
    <BillingShell page="billing">
      <SubscriptionPanel />
      <PlanOffers />
      <WalletPanel />
    </BillingShell>
  );
}

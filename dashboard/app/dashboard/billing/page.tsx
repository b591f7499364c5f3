import { PageSuspense } from "@/components/ui/page-suspense";
import { BillingPage } from "@/features/billing/billing-page";

export default function Page() {
  return (
    <PageSuspense>
      <BillingPage />
    </PageSuspense>
  );
}

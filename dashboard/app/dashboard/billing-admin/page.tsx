import { PageSuspense } from "@/components/ui/page-suspense";
import { BillingAdminPage } from "@/features/billing-admin/billing-admin-page";

export default function Page() {
  return (
    <PageSuspense>
      <BillingAdminPage />
    </PageSuspense>
  );
}

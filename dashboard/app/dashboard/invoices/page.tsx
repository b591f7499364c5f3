import { PageSuspense } from "@/components/ui/page-suspense";
import { InvoicesPage } from "@/features/invoices/invoices-page";

export default function Page() {
  return (
    <PageSuspense>
      <InvoicesPage />
    </PageSuspense>
  );
}

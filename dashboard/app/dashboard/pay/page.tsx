import { PageSuspense } from "@/components/ui/page-suspense";
import { PayPage } from "@/features/pay/pay-page";

export default function Page() {
  return (
    <PageSuspense>
      <PayPage />
    </PageSuspense>
  );
}

import { PageSuspense } from "@/components/ui/page-suspense";
import { LimitsPage } from "@/features/limits/limits-page";

export default function Page() {
  return (
    <PageSuspense>
      <LimitsPage />
    </PageSuspense>
  );
}

import { PageSuspense } from "@/components/ui/page-suspense";
import { PlansPage } from "@/features/plans/plans-page";

export default function Page() {
  return (
    <PageSuspense>
      <PlansPage />
    </PageSuspense>
  );
}

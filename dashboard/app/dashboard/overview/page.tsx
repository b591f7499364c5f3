import { PageSuspense } from "@/components/ui/page-suspense";
import { OverviewPage } from "@/features/overview/overview-page";

export default function Page() {
  return (
    <PageSuspense>
      <OverviewPage />
    </PageSuspense>
  );
}

import { PageSuspense } from "@/components/ui/page-suspense";
import { DayPage } from "@/features/day/day-page";

export default function Page() {
  return (
    <PageSuspense>
      <DayPage />
    </PageSuspense>
  );
}

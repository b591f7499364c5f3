import { PageSuspense } from "@/components/ui/page-suspense";
import { UsagePage } from "@/features/usage/usage-page";

export default function Page() {
  return (
    <PageSuspense>
      <UsagePage />
    </PageSuspense>
  );
}

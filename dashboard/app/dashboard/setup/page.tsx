import { PageSuspense } from "@/components/ui/page-suspense";
import { SetupPage } from "@/features/setup/setup-page";

export default function Page() {
  return (
    <PageSuspense>
      <SetupPage />
    </PageSuspense>
  );
}

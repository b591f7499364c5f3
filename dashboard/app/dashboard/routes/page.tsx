import { PageSuspense } from "@/components/ui/page-suspense";
import { RoutesPage } from "@/features/routes/routes-page";

export default function Page() {
  return (
    <PageSuspense>
      <RoutesPage />
    </PageSuspense>
  );
}

import { PageSuspense } from "@/components/ui/page-suspense";
import { ProvidersPage } from "@/features/providers/providers-page";

export default function Page() {
  return (
    <PageSuspense>
      <ProvidersPage />
    </PageSuspense>
  );
}

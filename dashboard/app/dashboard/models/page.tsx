import { PageSuspense } from "@/components/ui/page-suspense";
import { ModelsPage } from "@/features/models/models-page";

export default function Page() {
  return (
    <PageSuspense>
      <ModelsPage />
    </PageSuspense>
  );
}

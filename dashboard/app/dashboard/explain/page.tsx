import { PageSuspense } from "@/components/ui/page-suspense";
import { ExplainPage } from "@/features/explain/explain-page";

export default function Page() {
  return (
    <PageSuspense>
      <ExplainPage />
    </PageSuspense>
  );
}

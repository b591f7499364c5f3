import { PageSuspense } from "@/components/ui/page-suspense";
import { ReviewPage } from "@/features/review/review-page";

export default function Page() {
  return (
    <PageSuspense>
      <ReviewPage />
    </PageSuspense>
  );
}

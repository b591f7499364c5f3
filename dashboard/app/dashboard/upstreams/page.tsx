import { PageSuspense } from "@/components/ui/page-suspense";
import { UpstreamsPage } from "@/features/upstreams/upstreams-page";

export default function Page() {
  return (
    <PageSuspense>
      <UpstreamsPage />
    </PageSuspense>
  );
}

import { PageSuspense } from "@/components/ui/page-suspense";
import { WebhooksPage } from "@/features/webhooks/webhooks-page";

export default function Page() {
  return (
    <PageSuspense>
      <WebhooksPage />
    </PageSuspense>
  );
}

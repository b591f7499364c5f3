import { PageSuspense } from "@/components/ui/page-suspense";
import { ConfigurationPage } from "@/features/configuration/configuration-page";

export default function Page() {
  return (
    <PageSuspense>
      <ConfigurationPage />
    </PageSuspense>
  );
}

import { PageSuspense } from "@/components/ui/page-suspense";
import { AuditPage } from "@/features/audit/audit-page";

export default function Page() {
  return (
    <PageSuspense>
      <AuditPage />
    </PageSuspense>
  );
}

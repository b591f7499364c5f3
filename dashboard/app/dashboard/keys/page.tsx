import { PageSuspense } from "@/components/ui/page-suspense";
import { KeysPage } from "@/features/keys/keys-page";

export default function Page() {
  return (
    <PageSuspense>
      <KeysPage />
    </PageSuspense>
  );
}

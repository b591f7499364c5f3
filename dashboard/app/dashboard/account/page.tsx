import { PageSuspense } from "@/components/ui/page-suspense";
import { AccountPage } from "@/features/account/account-page";

export default function Page() {
  return (
    <PageSuspense>
      <AccountPage />
    </PageSuspense>
  );
}

import { PageSuspense } from "@/components/ui/page-suspense";
import { UsersPage } from "@/features/users/users-page";

export default function Page() {
  return (
    <PageSuspense>
      <UsersPage />
    </PageSuspense>
  );
}

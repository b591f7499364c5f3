import { PageSuspense } from "@/components/ui/page-suspense";
import { BudgetsPage } from "@/features/budgets/budgets-page";

export default function Page() {
  return (
    <PageSuspense>
      <BudgetsPage />
    </PageSuspense>
  );
}

import { PageSuspense } from "@/components/ui/page-suspense";
import { PlaygroundPage } from "@/features/playground/playground-page";

export default function Page() {
  return (
    <PageSuspense>
      <PlaygroundPage />
    </PageSuspense>
  );
}

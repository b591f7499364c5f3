import { LinkPage } from "@/features/register/link-page";

export default function Page() {
  return <LinkPage />;
}

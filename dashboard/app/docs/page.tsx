import { Guide } from "@/features/landing/guide";

export default function Page() {
  return <Guide />;
}

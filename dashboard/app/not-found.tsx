import { NotFound } from "@/features/frame/not-found";

export default function Page() {
  return <NotFound />;
}

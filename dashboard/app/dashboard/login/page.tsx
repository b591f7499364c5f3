import { Suspense } from "react";

import { SignInPage } from "@/features/session/sign-in-page";

export default function Page() {
  return (
    <Suspense>
      <SignInPage />
    </Suspense>
  );
}

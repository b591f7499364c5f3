import { type ReactNode, Suspense } from "react";

/** A page that reads its query; the exported HTML contains the fallback. */
export function PageSuspense({ children }: { children: ReactNode }) {
  return <Suspense fallback={<div className="min-h-screen bg-bg" />}>{children}</Suspense>;
}

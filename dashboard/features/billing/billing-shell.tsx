"use client";

import Link from "next/link";
import type { ReactNode } from "react";

import { buttonClass } from "@/components/ui/button";
import { Empty, SkeletonRows } from "@/components/ui/states";
import type { PageName } from "@/features/frame/pages";
import { Shell } from "@/features/frame/shell";
import { useMessages } from "@/lib/language";
import { useSite } from "@/lib/queries";

/** The frame of a page of billing. On a server that sells no plans, it says so and sends no requests. */
export function BillingShell({ page, children }: { page: PageName; children: ReactNode }) {
  const t = useMessages();
  const site = useSite().data;
  if (site?.billing) return <Shell page={page}>{children}</Shell>;
  const overview = <Link className={buttonClass({ look: "primary" })} href="/dashboard/overview">{t.frame.toOverview}</Link>;
  return (
    <Shell page={page}>
      <section className="panel">
        {site ? <Empty title={t.billing.off} action={overview}>{t.billing.offText}</Empty> : <SkeletonRows rows={6} height={52} />}
      </section>
    </Shell>
  );
}

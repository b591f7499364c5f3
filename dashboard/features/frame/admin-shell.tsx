"use client";

import Link from "next/link";
import type { ReactNode } from "react";

import { buttonClass } from "@/components/ui/button";
import { Empty, SkeletonRows } from "@/components/ui/states";
import type { PageName } from "@/features/frame/pages";
import { Shell } from "@/features/frame/shell";
import { useMessages } from "@/lib/language";
import { useMe } from "@/lib/queries";

interface AdminShellProps {
  page: PageName;
  actions?: ReactNode;
  children: ReactNode;
}

/** The frame of a page for admins who signed in with a password. Others get a plain page; the API refuses them anyway. */
export function AdminShell({ page, actions, children }: AdminShellProps) {
  const t = useMessages();
  const me = useMe();
  if (me.data?.acts_as === "admin") {
    return <Shell page={page} actions={actions}>{children}</Shell>;
  }
  const overview = <Link className={buttonClass({ look: "primary" })} href="/dashboard/overview">{t.frame.toOverview}</Link>;
  return (
    <Shell page={page}>
      <section className="panel">
        {me.data ? <Empty title={t.frame.adminOnly} action={overview}>{t.frame.adminOnlyText}</Empty> : <SkeletonRows rows={8} />}
      </section>
    </Shell>
  );
}

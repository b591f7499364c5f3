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
export function AdminShell(props: AdminShellProps) {
  const t = useMessages();
  const isAdmin = useMe().data?.acts_as === "admin";
  return <PermittedShell {...props} isPermitted={isAdmin} title={t.frame.adminOnly} text={t.frame.adminOnlyText} />;
}

/** The frame of a page for admins and users with the role `finance` who signed in with a password. */
export function FinanceShell(props: AdminShellProps) {
  const t = useMessages();
  const isFinance = useMe().data?.finance === true;
  return <PermittedShell {...props} isPermitted={isFinance} title={t.frame.financeOnly} text={t.frame.financeOnlyText} />;
}

interface PermittedShellProps extends AdminShellProps {
  isPermitted: boolean;
  title: string;
  text: string;
}

function PermittedShell({ page, actions, children, isPermitted, title, text }: PermittedShellProps) {
  const t = useMessages();
  const me = useMe();
  if (isPermitted) return <Shell page={page} actions={actions}>{children}</Shell>;
  const overview = <Link className={buttonClass({ look: "primary" })} href="/dashboard/overview">{t.frame.toOverview}</Link>;
  return (
    <Shell page={page}>
      <section className="panel">
        {me.data ? <Empty title={title} action={overview}>{text}</Empty> : <SkeletonRows rows={8} />}
      </section>
    </Shell>
  );
}

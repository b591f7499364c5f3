"use client";

import { Plus } from "lucide-react";
import Link from "next/link";

import { buttonClass } from "@/components/ui/button";
import { Note } from "@/components/ui/note";
import { Failure } from "@/components/ui/states";
import { Shell } from "@/features/frame/shell";
import { Attention } from "@/features/overview/attention";
import { Figures } from "@/features/overview/figures";
import { Latest } from "@/features/overview/latest";
import { Limits } from "@/features/overview/limits";
import { TopKeys, TopModels } from "@/features/overview/top-lists";
import { TopRoutes, TopUsers } from "@/features/overview/top-users";
import { ScopeSwitch } from "@/features/scope/scope-switch";
import { useScope } from "@/features/scope/use-scope";
import { useMessages } from "@/lib/language";
import { useOverview } from "@/lib/queries";
import { useLiveOverview } from "@/lib/use-live";

/** Whether the reader can continue, what it costs, and what needs attention. */
export function OverviewPage() {
  const t = useMessages();
  const { scope, isAdmin } = useScope();
  const isLive = useLiveOverview(scope);
  const overview = useOverview(scope, isLive);
  const { data } = overview;
  const create = (
    <>
    <ScopeSwitch />
    <Link className={`${buttonClass({ look: "primary" })} hide`} href="/dashboard/keys?create=1">
      <Plus className="i" aria-hidden />
      {t.overview.createKey}
    </Link>
    </>
  );
  return (
    <Shell page="overview" actions={create}>
      {overview.isError && !data ? (
        <section className="panel">
          <Failure error={overview.error} onRetry={() => void overview.refetch()} />
        </section>
      ) : (
        <>
          {data && data.month.requests === 0 && data.recent.length === 0 && (
            <Note title={t.setup.begin}>
              <Link className="link" href="/dashboard/setup">{t.setup.beginText}</Link>
            </Note>
          )}
          <Limits overview={data} />
          <Attention overview={data} isOfGateway={scope === "" || scope === "all"} />
          <Figures overview={data} />
          <div className="grid2">
            <TopModels overview={data} />
            <TopKeys overview={data} isAdmin={isAdmin} isOwn={scope === ""} />
          </div>
          {data?.users && (
            <div className="grid2">
              <TopUsers overview={data} />
              <TopRoutes overview={data} />
            </div>
          )}
          <Latest overview={data} />
        </>
      )}
    </Shell>
  );
}

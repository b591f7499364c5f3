"use client";

import { Failure, SkeletonRows } from "@/components/ui/states";
import { Segments } from "@/components/ui/tabs";
import { useDraft } from "@/features/configuration/draft";
import { EditView } from "@/features/configuration/edit-view";
import { HistoryView } from "@/features/configuration/history-view";
import { RunningView } from "@/features/configuration/running-view";
import { useConfiguration } from "@/features/configuration/use-configuration";
import { AdminShell } from "@/features/frame/admin-shell";
import { PlanDifferences } from "@/features/plans/plan-differences";
import { useMessages } from "@/lib/language";
import { useMe } from "@/lib/queries";
import { useUrlState } from "@/lib/url-state";

const VIEWS = ["running", "edit", "history"] as const;

/** What the server runs with, and how to change it. */
export function ConfigurationPage() {
  return (
    <AdminShell page="configuration">
      <ConfigurationViews />
    </AdminShell>
  );
}

function ConfigurationViews() {
  const t = useMessages();
  const { get, set } = useUrlState();
  const user = useMe().data?.user.id ?? "";
  const [draft, setDraft] = useDraft(user);
  const running = useConfiguration();
  const view = VIEWS.find((name) => name === get("view")) ?? "running";
  const show = (name: (typeof VIEWS)[number]) => set({ view: name === "running" ? "" : name });
  return (
    <>
      <PlanDifferences />
      <section className="panel">
        <div className="ph flex-wrap">
          <Segments label={t.configuration.view} value={view} onChange={show} options={VIEWS.map((name) => ({ name, label: t.configuration.views[name] }))} />
        </div>
        {running.isError && !running.data && <Failure error={running.error} onRetry={() => void running.refetch()} />}
        {running.isPending && <SkeletonRows rows={12} height={34} />}
        {running.data && view === "running" && <RunningView running={running.data} onEdit={() => show("edit")} />}
        {running.data && view === "edit" && <EditView running={running.data} draft={draft} onDraft={setDraft} />}
        {running.data && view === "history" && <HistoryView running={running.data} />}
      </section>
    </>
  );
}

"use client";

import { FailedNote } from "@/components/ui/failed-note";
import { Empty, SkeletonRows } from "@/components/ui/states";
import { ExplanationSteps } from "@/features/explain/explanation-steps";
import { RequestForm } from "@/features/explain/request-form";
import { useExplanation } from "@/features/explain/use-explanation";
import { AdminShell } from "@/features/frame/admin-shell";
import { useMessages } from "@/lib/language";

/** What the running configuration does with a request, and why. */
export function ExplainPage() {
  return (
    <AdminShell page="explain">
      <Explainer />
    </AdminShell>
  );
}

function Explainer() {
  const t = useMessages();
  const explanation = useExplanation();
  return (
    <>
      <section className="panel" aria-labelledby="explain-request">
        <div className="ph"><h2 id="explain-request">{t.explain.request}</h2></div>
        <RequestForm isBusy={explanation.isPending} onSubmit={(request) => explanation.mutate(request)} />
      </section>
      <section className="panel" aria-label={t.explain.result} aria-live="polite">
        {explanation.isIdle && <Empty title={t.explain.none}>{t.explain.noneText}</Empty>}
        {explanation.isPending && <SkeletonRows rows={6} />}
        {explanation.isError && <div className="pb"><FailedNote title={t.explain.failed} error={explanation.error} /></div>}
        {explanation.data && <ExplanationSteps explanation={explanation.data} />}
      </section>
    </>
  );
}

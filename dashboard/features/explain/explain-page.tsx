"use client";

import { useState } from "react";

import { FailedNote } from "@/components/ui/failed-note";
import { Note } from "@/components/ui/note";
import { Empty, SkeletonRows } from "@/components/ui/states";
import { type Values, fromAddress, inAddress } from "@/features/explain/address";
import { ExplanationSteps } from "@/features/explain/explanation-steps";
import { RequestForm } from "@/features/explain/request-form";
import { type Question, useExplanation } from "@/features/explain/use-explanation";
import { AdminShell } from "@/features/frame/admin-shell";
import { useMessages } from "@/lib/language";
import { useUrlState } from "@/lib/url-state";

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
  const { get, set } = useUrlState();
  const explanation = useExplanation();
  const { data, mutate } = explanation;
  const [initial] = useState(() => fromAddress(get));
  const submit = (values: Values, question: Question) => {
    set(inAddress(values));
    mutate(question, { onSuccess: ({ explanation: { as } }) => as && set(inAddress({ ...values, key: as.id })) });
  };
  return (
    <>
      <section className="panel" aria-labelledby="explain-request">
        <div className="ph"><h2 id="explain-request">{t.explain.request}</h2></div>
        <RequestForm initial={initial} isBusy={explanation.isPending} onSubmit={submit} />
      </section>
      <section className="panel" aria-label={t.explain.result} aria-live="polite">
        {explanation.isIdle && <Empty title={t.explain.none}>{t.explain.noneText}</Empty>}
        {explanation.isPending && <SkeletonRows rows={6} />}
        {explanation.isError && <div className="pb"><FailedNote title={t.explain.failed} error={explanation.error} /></div>}
        {data?.keyProblem && <div className="pb"><Note tone="warn" title={t.explain.keyRefused}>{data.keyProblem}</Note></div>}
        {data && <ExplanationSteps explanation={data.explanation} />}
      </section>
    </>
  );
}

"use client";

import NextLink from "next/link";

import { buttonClass } from "@/components/ui/button";
import { CopyButton } from "@/components/ui/copy-button";
import { Drawer } from "@/components/ui/drawer";
import { Note } from "@/components/ui/note";
import { Failure, SkeletonRows } from "@/components/ui/states";
import { explainLink } from "@/features/explain/address";
import { RefusalNote } from "@/features/usage/refusal-note";
import { RequestCosts } from "@/features/usage/request-costs";
import { statusText } from "@/features/usage/request-cells";
import { RequestFacts } from "@/features/usage/request-facts";
import { Timeline } from "@/features/usage/timeline";
import { useRequest } from "@/features/usage/use-requests";
import type { Schemas } from "@/lib/api";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import { useMe } from "@/lib/queries";

/** One request in full. */
export function RequestDrawer({ id, onClose }: { id: string; onClose(): void }) {
  const t = useMessages();
  const request = useRequest(id);
  const { data } = request;
  const title = (
    <>
      <span className="trunc">{data?.model ?? data?.route ?? t.usage.request}</span>
      {data && <Outcome request={data} />}
    </>
  );
  const copy = <CopyButton text={typeof location === "undefined" ? id : location.href} what={t.usage.request} />;
  return (
    <Drawer title={title} sub={<span className="mono">{id}</span>} actions={copy} onClose={onClose}>
      {request.isPending && <SkeletonRows rows={8} />}
      {request.isError && !data && (
        request.error.status === 404 ? (
          <section>
            <Note title={t.usage.missing} />
          </section>
        ) : (
          <Failure error={request.error} onRetry={() => void request.refetch()} />
        )
      )}
      {data && <Content request={data} />}
    </Drawer>
  );
}

function Outcome({ request }: { request: Schemas["RequestDetail"] }) {
  const t = useMessages();
  if (typeof request.count === "number") {
    const tone = request.result === "failed" ? "tag bad" : request.result === "refused" ? "tag" : "tag ok";
    return <span className={tone}>{statusText(request)} {t.usage.statuses[request.result as "succeeded" | "refused" | "failed"]}</span>;
  }
  if (request.refusal) return <span className="tag"><i className="dot hollow" />{request.status} {t.usage.refusedTag}</span>;
  if (request.status >= 400) return <span className="tag bad">{request.status} {t.usage.failedTag}</span>;
  const isWhole = request.outcome === "completed";
  return <span className={isWhole ? "tag ok" : "tag warn"}>{request.status} {isWhole ? t.usage.completed : request.outcome}</span>;
}

function Content({ request }: { request: Schemas["RequestDetail"] }) {
  const t = useMessages();
  const format = useFormat();
  const isAdmin = useMe().data?.acts_as === "admin";
  const link = explainLink(request);
  const { refusal } = request;
  const figures = [
    [t.usage.cost, request.cost ? format.exact(request.cost) : NONE],
    [t.requests.tokens, request.tokens ? format.count(request.tokens.total) : NONE],
    typeof request.count === "number" ? [t.usage.countedRequests, format.count(request.count)] : [t.usage.duration, format.duration(request.phases?.total_ms)],
    [t.usage.credits, format.credits(request.credits)],
  ] as const;
  return (
    <>
      {refusal ? (
        <RefusalNote request={request} refusal={refusal} />
      ) : (
        <section className="sum">
          {figures.map(([label, value]) => (
            <div key={label}>
              <span className="hint">{label}</span>
              <b className="num">{value}</b>
            </div>
          ))}
        </section>
      )}
      {typeof request.count === "number" && <section><p className="hint">{t.usage.countedText}</p></section>}
      {!refusal && request.status >= 400 && request.credits > 0 && <section><p className="hint">{t.usage.failedCounts}</p></section>}
      {request.attempts.length + request.skipped.length > 0 && <Timeline request={request} />}
      {request.attempts.length > 0 && <RequestCosts request={request} />}
      <RequestFacts request={request} />
      {isAdmin && link && (
        <section>
          <NextLink className={buttonClass({ size: "small" })} href={link}>{t.usage.explainRequest}</NextLink>
        </section>
      )}
    </>
  );
}

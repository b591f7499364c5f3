"use client";

import Link from "next/link";
import type { ReactNode } from "react";

import { Facts } from "@/components/ui/facts";
import { Sender } from "@/features/usage/request-cells";
import type { Schemas } from "@/lib/api";
import { labelsText } from "@/lib/labels";
import { useFormat, useMessages } from "@/lib/language";
import { useMe } from "@/lib/queries";

/** The other facts of a request; those that it lacks are left out. */
export function RequestFacts({ request }: { request: Schemas["RequestDetail"] }) {
  const t = useMessages();
  const format = useFormat();
  const isAdmin = useMe().data?.acts_as === "admin";
  const owner = request.user;
  const last = request.attempts.at(-1);
  const facts: [string, ReactNode][] = [
    [t.usage.at, <span key="v" className="num">{format.moment(request.started_at)}</span>],
    [t.keys.user, owner && <PageLink key="v" href={isAdmin && `/dashboard/users?id=${owner.id}`} name={owner.name} />],
    [t.requests.key, request.key ? <PageLink key="v" href={`/dashboard/keys?id=${request.key.id}`} name={request.key.label} end={request.key.last4} /> : <Sender key="v" request={request} t={t} />],
    [t.usage.route, request.route && <span key="v" className="mono">{request.route}</span>],
    [t.usage.format, request.format],
    [t.usage.asked, request.model && <span key="v" className="mono">{request.model}</span>],
    [t.usage.answered, last?.answered_model && <span key="v" className="mono">{last.answered_model}</span>],
    [t.usage.upstreamId, last?.upstream_id && <span key="v" className="mono">{last.upstream_id}</span>],
    [t.usage.trace, request.trace_id && <Trace key="v" id={request.trace_id} url={request.trace_url} />],
    [t.usage.labels, request.labels === null ? t.usage.otherLabels : Object.keys(request.labels ?? {}).length > 0 && <span key="v" className="mono">{labelsText(request.labels ?? {})}</span>],
    [t.usage.program, request.program && request.program !== "unknown" && request.program],
    [t.usage.toolUse, request.tool_use && request.tool_use !== "none" && t.usage.toolUses[request.tool_use === "called" ? "called" : "offered"]],
    [t.usage.outcome, request.outcome !== "completed" && request.outcome !== "counted" && request.outcome],
    [t.usage.size, request.bytes && t.usage.sizes(format.bytes(request.bytes.request), format.bytes(request.bytes.response), request.streamed)],
  ];
  return (
    <section>
      <h3>{t.usage.request}</h3>
      <Facts facts={facts} />
    </section>
  );
}

/** A name that leads to its page, if the reader may open it. */
function PageLink({ href, name, end }: { href: string | false; name: string; end?: string }) {
  const text = <bdi>{name}</bdi>;
  return (
    <span className="break-words">
      {href === false ? text : <Link className="link" href={href}>{text}</Link>}
      {end !== undefined && <span className="mono t3"> …{end}</span>}
    </span>
  );
}

/** The id of a trace, with a link to its page if the operator has configured one. */
function Trace({ id, url }: { id: string; url: string | null | undefined }) {
  if (!url) return <span className="mono">{id}</span>;
  return (
    <a className="link mono" href={url} target="_blank" rel="noopener noreferrer">
      {id}
    </a>
  );
}

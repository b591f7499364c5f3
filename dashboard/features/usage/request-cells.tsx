"use client";

import { clsx } from "clsx";

import type { Schemas } from "@/lib/api";
import { type Format, NONE } from "@/lib/format";
import type { Messages } from "@/messages/en";

export type RequestLine = Schemas["RequestLine"];

/** The mark of a status: refused requests are hollow, because nothing passed; failures are square. */
export function StatusMark({ request }: { request: Pick<RequestLine, "status" | "result" | "count"> }) {
  const mark = request.result === "refused" ? "hollow" : request.result === "failed" ? "bad" : "ok";
  return (
    <span className="st">
      <i className={clsx("dot", mark)} />
      {statusText(request)}
    </span>
  );
}

/** The status of a request, or the class of the statuses of several. */
export function statusText({ status, count }: Pick<RequestLine, "status" | "count">): string {
  if (typeof count !== "number") return String(status);
  return status === 0 ? "–" : `${Math.floor(status / 100)}xx`;
}

/** When a request began; a line of counted requests stands for a minute. */
export function timeOf({ started_at, count }: RequestLine, format: Format): string {
  return typeof count === "number" ? format.clock(started_at) : format.time(started_at);
}

/** What was requested: the model or the route, with the number of requests if the line stands for several. */
export function subjectOf(request: RequestLine, t: Messages, format: Format): string {
  const name = request.model ?? request.route ?? t.requests.ordinary;
  return typeof request.count === "number" ? `${name} ${t.usage.times(format.count(request.count))}` : name;
}

/** What was requested, and the model that responded if its provider names another one. */
export function Subject({ request, t, format }: { request: RequestLine; t: Messages; format: Format }) {
  const { answered_model: answered, model } = request;
  const isOther = typeof answered === "string" && answered !== model && !model?.endsWith(`/${answered}`);
  return (
    <>
      {subjectOf(request, t, format)}
      {isOther && <span className="mono t3" title={t.usage.answered}>{` → ${answered}`}</span>}
    </>
  );
}

/** The program that sent a request, if its user agent names one that is known. */
export function programOf({ program }: RequestLine): string {
  return program && program !== "unknown" ? program : NONE;
}

/** The provider that responded, or the reason why none did. */
export function Reason({ request }: { request: RequestLine }) {
  if (request.refusal) return <span className="mono">{request.refusal.code}</span>;
  if (request.outcome !== "completed" && request.outcome !== "counted") return <span className="mono">{request.outcome}</span>;
  return <>{request.provider ?? NONE}</>;
}

/** The key of a request, or the identity that took its place. */
export function Sender({ request, t }: { request: RequestLine; t: Messages }) {
  const { key, subject, user } = request;
  if (!key) return <>{subject?.name ?? user?.name ?? t.requests.anonymous}</>;
  return (
    <span title={user ? `${user.name} · ${key.label}` : key.label}>
      {user && <><bdi>{user.name}</bdi> · </>}
      {key.label} <span className="mono t3">…{key.last4}</span>
    </span>
  );
}

/** What a request cost; an unknown cost is never shown as 0. */
export function costOf(request: RequestLine, format: Format): string {
  return request.cost ? format.exact(request.cost) : NONE;
}

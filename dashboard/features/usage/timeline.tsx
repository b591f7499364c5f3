"use client";

import { clsx } from "clsx";
import { Fragment } from "react";

import type { Schemas } from "@/lib/api";
import { useFormat, useMessages } from "@/lib/language";

/** A part of an attempt on the axis, in milliseconds. */
interface Part {
  kind: "wait" | "strm" | "fail";
  from: number;
  to: number;
}

export interface AttemptBar {
  attempt: Schemas["RequestAttempt"];
  parts: Part[];
}

/** Attempts end to end, each split at its first byte; a failed one is one part. */
export function barsOf(attempts: readonly Schemas["RequestAttempt"][]): AttemptBar[] {
  let at = 0;
  return attempts.map((attempt) => {
    const [start, end] = [at, at + attempt.total_ms];
    at = end;
    const first = attempt.first_byte_ms;
    const hasFailed = !attempt.status || attempt.status >= 400;
    if (hasFailed || first === null || first === undefined) return { attempt, parts: [{ kind: hasFailed ? "fail" : "wait", from: start, to: end }] };
    const middle = Math.min(end, start + first);
    return { attempt, parts: [{ kind: "wait", from: start, to: middle }, { kind: "strm", from: middle, to: end }] };
  });
}

function Skips({ targets }: { targets: readonly Schemas["SkippedTarget"][] }) {
  const t = useMessages();
  return targets.map(({ provider, model, reason }, at) => (
    <div key={at}>
      <span className="trunc t2">{provider}/{model}</span>
      <span className="skip t2">{t.usage.skipped}. {t.usage.skips[reason] ?? reason}</span>
    </div>
  ));
}

/** The skipped targets before an attempt; those behind the last attempt come before one that does not exist. */
export function skipsBefore(request: Schemas["RequestDetail"], attempt: number): Schemas["SkippedTarget"][] {
  return request.skipped.filter((skip) => Math.min(skip.attempts_before, request.attempts.length) === attempt);
}

/** The phases of a request: the gateway's own time, then each attempt, with the skipped targets between them. */
export function Timeline({ request }: { request: Schemas["RequestDetail"] }) {
  const t = useMessages();
  const format = useFormat();
  const bars = barsOf(request.attempts);
  const upstream = request.attempts.reduce((sum, attempt) => sum + attempt.total_ms, 0);
  const whole = request.phases?.total_ms ?? upstream;
  const total = Math.max(whole, upstream, 0.001);
  const own = Math.max(0, whole - upstream);
  const last = request.attempts.at(-1);
  const first = last?.first_byte_ms;
  return (
    <section>
      <h3>{t.usage.timeline}</h3>
      <div className="wf">
        <div className="ax">
          <span />
          <span className="trk">
            <span>0</span>
            <span>{format.duration(total / 2)}</span>
            <span>{format.duration(total)}</span>
          </span>
          <span />
        </div>
        <div>
          <span className="trunc">{t.usage.gateway}</span>
          <span className="trk">
            <b className="gw" style={{ left: 0, width: `${(own / total) * 100}%` }} />
          </span>
          <span className="text-right">{format.duration(own)}</span>
        </div>
        {bars.map(({ attempt, parts }, at) => (
          <Fragment key={at}>
            <Skips targets={skipsBefore(request, at)} />
            <div>
              <span className={clsx("trunc", (attempt.status ?? 500) >= 400 && "bad")}>
                {t.usage.attempt(at + 1, attempt.provider ?? "", attempt.status ? String(attempt.status) : t.usage.noResponse)}
              </span>
              <span className="trk">
                {parts.map(({ kind, from, to }) => (
                  <b key={kind} className={kind} style={{ left: `${(from / total) * 100}%`, width: `${((to - from) / total) * 100}%` }} />
                ))}
              </span>
              <span className="text-right">{format.duration(attempt.total_ms)}</span>
            </div>
          </Fragment>
        ))}
        <Skips targets={skipsBefore(request, bars.length)} />
      </div>
      {last && first !== null && first !== undefined && (
        <p className="hint">
          {t.usage.firstByte(format.duration(first))} · {t.usage.rest(format.duration(Math.max(0, last.total_ms - first)))}
        </p>
      )}
    </section>
  );
}

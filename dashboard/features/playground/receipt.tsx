"use client";

import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import Link from "next/link";
import { type ReactNode, useEffect, useState } from "react";

import type { Run } from "@/features/playground/use-run";
import type { Usage } from "@/features/playground/stream";
import { RequestCosts } from "@/features/usage/request-costs";
import { type ApiError, type Schemas, api } from "@/lib/api";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";

/** A node writes records every 100 ms; a call that was stopped is recorded when its provider has ended. */
const RECORD_ATTEMPTS = 20;
const RECORD_DELAY_MS = 250;
const RECORD_PAUSE_MS = 400;

const CLASSES = [["input", "b1"], ["cached_input", "b3"], ["cache_write", "b2"], ["output", "b5"], ["reasoning", "b4"]] as const;

/** The record of a call, which appears shortly after its end. */
function useRecord(id: string | undefined): UseQueryResult<Schemas["RequestDetail"], ApiError> {
  return useQuery({
    queryKey: ["request", id],
    enabled: id !== undefined,
    queryFn: async ({ signal }) => {
      await new Promise((resolve) => setTimeout(resolve, RECORD_DELAY_MS));
      return api("get", "/api/usage/requests/{id}", { path: { id: id ?? "" }, signal });
    },
    retry: (count, error) => count < RECORD_ATTEMPTS && (error.status === 404 || error.status === 0),
    retryDelay: RECORD_PAUSE_MS,
    staleTime: Number.POSITIVE_INFINITY,
  });
}

/** What the response cost: live figures of the stream, and the gateway's own record as soon as it exists. */
export function Receipt({ run }: { run: Run }) {
  const t = useMessages();
  const isRunning = run.state === "waiting" || run.state === "streaming";
  const hasEnded = run.state !== "idle" && !isRunning;
  // Without a known key, a request has no record.
  const record = useRecord(hasEnded && run.problem?.status !== 401 ? run.requestId : undefined);
  const dot = { idle: "", waiting: "live", streaming: "live", done: "ok", stopped: "warn", failed: "bad" }[run.state];
  return (
    <section className="panel rcp" aria-label={t.playground.receipt}>
      <div className="ph">
        <h2>{t.playground.receipt}</h2>
        <span className="st push sm t2" role="status">
          <i className={`dot ${dot}`} />
          {t.playground.states[run.state]}
        </span>
      </div>
      <Figures run={run} record={record.data} />
      <div className="rcp-b">
        {record.data && record.data.attempts.some(({ price }) => price) ? <RequestCosts request={record.data} /> : <Tokens usage={run.usage} />}
        {record.isFetching && <p className="hint">{t.playground.final}</p>}
        {record.isError && <p className="hint">{record.error.status === 404 ? t.playground.noRecord : record.error.message}</p>}
        {record.data && (
          <Link className="link sm" href={`/dashboard/usage?id=${record.data.id}`}>
            {t.playground.details}
          </Link>
        )}
      </div>
    </section>
  );
}

function Figures({ run, record }: { run: Run; record: Schemas["RequestDetail"] | undefined }) {
  const t = useMessages();
  const format = useFormat();
  const tokens = record?.tokens ? record.tokens.output : run.usage && run.usage.output + run.usage.reasoning;
  const seconds = run.totalMs !== undefined && run.firstTextMs !== undefined ? (run.totalMs - run.firstTextMs) / 1000 : 0;
  const speed = tokens !== undefined && seconds > 0.05 ? t.playground.tokensPerSecond(format.count(Math.round(tokens / seconds))) : NONE;
  const isRunning = run.state === "waiting" || run.state === "streaming";
  return (
    <div className="r3">
      <Figure label={t.playground.cost}>{record?.cost ? format.exact(record.cost) : NONE}</Figure>
      <Figure label={t.playground.firstToken}>{format.duration(run.firstTextMs)}</Figure>
      <Figure label={t.playground.speed}>{speed}</Figure>
      <Figure label={t.playground.elapsed}>{isRunning ? <Elapsed since={run.startedAt} /> : format.duration(run.totalMs)}</Figure>
    </div>
  );
}

function Figure({ label, children }: { label: string; children: ReactNode }) {
  return (
    <div>
      <span className="hint">{label}</span>
      <b className="num">{children}</b>
    </div>
  );
}

function Elapsed({ since }: { since: number }) {
  const format = useFormat();
  const [elapsedMs, setElapsedMs] = useState<number>();
  useEffect(() => {
    // The monotonic clock measures, because the wall clock may be wrong.
    const timer = setInterval(() => setElapsedMs(performance.now() - since), 100);
    return () => clearInterval(timer);
  }, [since]);
  return <>{format.duration(elapsedMs)}</>;
}

/** Tokens by class, as the stream reports them. */
function Tokens({ usage }: { usage: Usage | undefined }) {
  const t = useMessages();
  const format = useFormat();
  if (!usage) return <p className="hint">{t.playground.noUsage}</p>;
  const sum = CLASSES.reduce((all, [name]) => all + usage[name], 0);
  return (
    <table className="lines">
      <thead>
        <tr>
          <th>{t.usage.class}</th>
          <th>{t.requests.tokens}</th>
        </tr>
      </thead>
      <tbody>
        {CLASSES.map(([name, swatch]) => (
          <tr key={name}>
            <td>
              <i className={`sw mr-2 ${swatch}`} />
              {t.playground.classes[name]}
            </td>
            <td>{format.count(usage[name])}</td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr>
          <td>{t.playground.sum}</td>
          <td>{format.count(sum)}</td>
        </tr>
      </tfoot>
    </table>
  );
}

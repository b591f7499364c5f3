"use client";

import Link from "next/link";

import { buttonClass } from "@/components/ui/button";
import { Note } from "@/components/ui/note";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { AdminShell } from "@/features/frame/admin-shell";
import { HealthDot, RateCell, healthText } from "@/features/upstreams/live-cells";
import { type Backend, type Upstream, type UpstreamList, healthOf, keyOf, useUpstreams } from "@/features/upstreams/use-upstreams";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import type { Rate, Reading } from "@/lib/rates";
import type { Messages } from "@/messages/en";

const TONES = { available: "ok", open: "bad", half_open: "warn", unhealthy: "bad", ejected: "warn", drained: "" } as const;

/** The upstreams and providers, with the state and the load of each backend now. */
export function UpstreamsPage() {
  return (
    <AdminShell page="upstreams">
      <LiveList />
    </AdminShell>
  );
}

function LiveList() {
  const t = useMessages();
  const upstreams = useUpstreams();
  if (!upstreams.data) {
    return (
      <section className="panel">
        {upstreams.isError ? <Failure error={upstreams.error} onRetry={() => void upstreams.refetch()} /> : <SkeletonRows rows={6} />}
      </section>
    );
  }
  const { data: list } = upstreams.data;
  if (list.items.length === 0) {
    return (
      <section className="panel">
        <Empty title={t.upstreams.none} action={<Link className={buttonClass({ look: "primary" })} href="/dashboard/configuration">{t.upstreams.openConfiguration}</Link>}>
          {t.upstreams.noneText}
        </Empty>
      </section>
    );
  }
  return (
    <>
      {!list.is_live && <Note title={t.upstreams.elsewhere}>{t.upstreams.elsewhereText}</Note>}
      {list.items.map((upstream) => <UpstreamPanel key={`${upstream.kind} ${upstream.name}`} upstream={upstream} reading={upstreams.data} />)}
    </>
  );
}

function UpstreamPanel({ upstream, reading }: { upstream: Upstream; reading: Reading<UpstreamList> }) {
  const t = useMessages();
  const format = useFormat();
  const health = healthOf(upstream);
  const id = `upstream-${upstream.kind}-${upstream.name}`;
  return (
    <section className="panel" aria-labelledby={id}>
      <div className="ph">
        <h2 id={id}><bdi>{upstream.name}</bdi></h2>
        {reading.data.is_live && <span className="st t2 sm"><HealthDot health={health} />{healthText(health, t, format.count)}</span>}
        <span className="push t3 sm">{upstream.strategy ?? t.upstreams.provider}</span>
      </div>
      <div className="tw">
        <table className="tbl two" aria-labelledby={id}>
          <thead>
            <tr>
              <th className="grow">{t.upstreams.backend}</th>
              <th>{t.upstreams.state}</th>
              <th className="r x3">{t.upstreams.weight}</th>
              <th className="r x0">{t.upstreams.inFlight}</th>
              <th className="r x4">{t.upstreams.rate}</th>
              <th className="r x4" title={t.upstreams.requestsHelp}>{t.upstreams.requests}</th>
              <th className="r" title={t.upstreams.failedHelp}>{t.upstreams.failed}</th>
              <th className="r x3" title={t.upstreams.countedHelp}>{t.upstreams.counted}</th>
              <th className="r x2" title={t.upstreams.latencyHelp}>{t.upstreams.p50}</th>
              <th className="r x2" title={t.upstreams.latencyHelp}>{t.upstreams.p95}</th>
            </tr>
          </thead>
          <tbody>{upstream.backends.map((backend) => <BackendRow key={keyOf(upstream, backend)} backend={backend} rate={reading.rates[keyOf(upstream, backend)]} />)}</tbody>
        </table>
      </div>
    </section>
  );
}

function BackendRow({ backend, rate }: { backend: Backend; rate: Rate | undefined }) {
  const t = useMessages();
  const format = useFormat();
  const count = (value: number | null | undefined) => (typeof value === "number" ? format.count(value) : NONE);
  return (
    <tr>
      <td className="grow pad">
        <span className="med"><bdi>{backend.url}</bdi></span>
        {backend.name && <span className="t3 sm"> <bdi>{backend.name}</bdi></span>}
        <span className="sub">{historyOf(backend, t, format.count)}</span>
      </td>
      <td><StateTag backend={backend} t={t} /></td>
      <td className="r num x3">{count(backend.weight)}</td>
      <td className="r num x0">{count(backend.in_flight)}</td>
      <RateCell rate={rate} />
      <td className="r num x4">{count(backend.requests)}</td>
      <td className="r num">
        {count(backend.failed)}
        {typeof backend.server_errors === "number" && backend.server_errors > 0 && <span className="sub">{t.upstreams.serverErrors(format.count(backend.server_errors))}</span>}
      </td>
      <td className="r num x3">{count(backend.failures)}</td>
      <td className="r num x2">{format.duration(backend.p50_ms)}</td>
      <td className="r num x2">{format.duration(backend.p95_ms)}</td>
    </tr>
  );
}

function StateTag({ backend: { state, weight }, t }: { backend: Backend; t: Messages }) {
  if (weight === 0) return <span className="tag">{t.upstreams.drained}</span>;
  if (!state) return <span className="tag">{t.upstreams.unused}</span>;
  return <span className={`tag ${TONES[state]}`}>{t.upstreams.states[state]}</span>;
}

/** What has happened to a backend since the server started: its checks, ejections and openings of its breaker. */
export function historyOf({ checks_failed, checks_succeeded, ejections, breaker_openings }: Backend, t: Messages, count: (value: number) => string): string {
  const checks = (checks_failed ?? 0) + (checks_succeeded ?? 0);
  const parts = [
    checks > 0 && t.upstreams.checks(count(checks_failed ?? 0), count(checks)),
    ejections && t.upstreams.ejections(count(ejections)),
    breaker_openings && t.upstreams.openings(count(breaker_openings)),
  ];
  return parts.filter(Boolean).join(" · ");
}

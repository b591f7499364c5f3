"use client";

import Link from "next/link";

import { buttonClass } from "@/components/ui/button";
import { Segments } from "@/components/ui/tabs";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { AdminShell } from "@/features/frame/admin-shell";
import { PERIODS, type Period, type RouteFigures, keyOf, linkOf, requestsOf, useRoutes } from "@/features/routes/use-routes";
import { HealthDot, RateCell, healthText } from "@/features/upstreams/live-cells";
import { type Health, type UpstreamList, healthOf, useUpstreams } from "@/features/upstreams/use-upstreams";
import { useFormat, useMessages } from "@/lib/language";
import type { Rate } from "@/lib/rates";
import { useUrlState } from "@/lib/url-state";
import type { Messages } from "@/messages/en";

/** The routes of the proxy in their order, each with its requests. */
export function RoutesPage() {
  return (
    <AdminShell page="routes">
      <RouteTable />
    </AdminShell>
  );
}

function RouteTable() {
  const t = useMessages();
  const { get, set } = useUrlState();
  const period: Period = PERIODS.find((days) => days === get("days")) ?? "1";
  const routes = useRoutes(period);
  const upstreams = useUpstreams();
  const items = routes.data?.data.items;
  const healths = healthsOf(upstreams.data?.data);
  return (
    <section className="panel" aria-labelledby="routes">
      <div className="ph flex-wrap">
        <h2 id="routes">{t.routes.title}</h2>
        <div className="row wrap push">
          <Segments label={t.routes.period} value={period} onChange={(days) => set({ days })} options={PERIODS.map((name) => ({ name, label: t.routes.periods[name] }))} />
        </div>
      </div>
      {routes.isError && !items && <Failure error={routes.error} onRetry={() => void routes.refetch()} />}
      {routes.isPending && <SkeletonRows rows={6} />}
      {items?.length === 0 && (
        <Empty title={t.routes.none} action={<Link className={buttonClass({ look: "primary" })} href="/dashboard/configuration">{t.routes.openConfiguration}</Link>}>
          {t.routes.noneText}
        </Empty>
      )}
      {items && items.length > 0 && (
        <div className="tw">
          <table className="tbl two" aria-labelledby="routes">
            <thead>
              <tr>
                <th className="grow">{t.routes.route}</th>
                <th className="x3">{t.routes.upstream}</th>
                <th className="r x4">{t.routes.rate}</th>
                <th className="r x3" title={t.routes.requestsHelp}>{t.routes.requests}</th>
                <th className="r" title={t.routes.failedHelp}>{t.routes.failed}</th>
                <th className="r x4" title={t.routes.refusedHelp}>{t.routes.refused}</th>
                <th className="r x2" title={t.routes.latencyHelp}>{t.routes.p50}</th>
                <th className="r x2" title={t.routes.latencyHelp}>{t.routes.p95}</th>
              </tr>
            </thead>
            <tbody>{items.map((route) => <RouteRow key={keyOf(route)} route={route} rate={routes.data?.rates[keyOf(route)]} healths={healths} />)}</tbody>
          </table>
        </div>
      )}
    </section>
  );
}

function RouteRow({ route, rate, healths }: { route: RouteFigures; rate: Rate | undefined; healths: Healths }) {
  const t = useMessages();
  const format = useFormat();
  const matches = matchesText(route, t);
  return (
    <tr>
      <td className="grow pad">
        <Link className="link med" href={linkOf(route)} title={t.routes.showRequests(route.name)}><bdi>{route.name}</bdi></Link>
        <span className="sub" title={matches}>{matches}</span>
      </td>
      <td className="x3 t2 cut tight"><UpstreamNames route={route} healths={healths} /></td>
      <RateCell rate={rate} />
      <td className="r num x3">{format.count(requestsOf(route))}</td>
      <td className="r num">{format.count(route.errors)}</td>
      <td className="r num x4">{format.count(route.refused)}</td>
      <td className="r num x2">{format.duration(route.latency.p50_ms)}</td>
      <td className="r num x2">{format.duration(route.latency.p95_ms)}</td>
    </tr>
  );
}

/** The requests that a route takes: method, host and path. */
export function matchesText({ kind, configuration }: RouteFigures, t: Messages): string {
  if (!configuration) return kind === "llm" ? t.routes.llm : t.routes.removed;
  const methods = configuration.methods.length > 0 ? configuration.methods.join(", ") : t.routes.anyMethod;
  return `${methods} ${configuration.host ?? ""}${configuration.path}`;
}

/** The health of each upstream by its name; empty if another process serves the proxy. */
type Healths = ReadonlyMap<string, Health>;

function healthsOf(list: UpstreamList | undefined): Healths {
  const live = list?.is_live ? list.items.filter(({ kind }) => kind === "upstream") : [];
  return new Map(live.map((upstream) => [upstream.name, healthOf(upstream)]));
}

/** Where the requests of a route go, with the health of each upstream. */
function UpstreamNames({ route, healths }: { route: RouteFigures; healths: Healths }) {
  const t = useMessages();
  const format = useFormat();
  const upstreams = route.configuration?.upstreams ?? [];
  if (upstreams.length === 0) return actionText(route, t);
  return upstreams.map(({ name, weight }) => {
    const health = healths.get(name);
    return (
      <span key={name} className="block">
        <span className="st">
          {health && <HealthDot health={health} />}
          <bdi>{upstreams.length > 1 ? `${name} (${weight})` : name}</bdi>
          {health && <span className="t3 sm">{healthText(health, t, format.count)}</span>}
        </span>
      </span>
    );
  });
}

/** What a route without an upstream does. */
export function actionText({ kind, configuration }: RouteFigures, t: Messages): string {
  if (!configuration) return kind === "llm" ? t.routes.providers : "";
  return t.routes.actions[configuration.action] ?? configuration.action;
}

"use client";

import Link from "next/link";
import { useState } from "react";

import { Segments } from "@/components/ui/tabs";
import { failureRate } from "@/features/usage/series";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import type { Overview } from "@/lib/queries";

const ORDERS = ["most_spent", "most_requests", "most_errors"] as const;
type Order = (typeof ORDERS)[number];
type Row = NonNullable<Overview["users"]>[Order][number] | NonNullable<Overview["routes"]>[Order][number];

/** This month's users with the highest cost, the most requests or the most failed requests; a row opens the user's usage. */
export function TopUsers({ overview }: { overview: Overview }) {
  const t = useMessages();
  if (!overview.users) return null;
  return <TopTable id="top-users" title={t.scope.topUsers} name={t.scope.user} lists={overview.users} link={(row) => ("id" in row ? `/dashboard/overview?scope=user:${row.id}` : undefined)} />;
}

/** The same of routes. */
export function TopRoutes({ overview }: { overview: Overview }) {
  const t = useMessages();
  if (!overview.routes) return null;
  return <TopTable id="top-routes" title={t.scope.topRoutes} name={t.usage.group.route} lists={overview.routes} link={() => undefined} />;
}

interface TopTableProps {
  id: string;
  title: string;
  name: string;
  lists: Record<Order, Row[]>;
  link(row: Row): string | undefined;
}

function TopTable({ id, title, name, lists, link }: TopTableProps) {
  const t = useMessages();
  const format = useFormat();
  const [order, setOrder] = useState<Order>("most_spent");
  const rows = lists[order];
  return (
    <section className="panel" aria-labelledby={id}>
      <div className="ph flex-wrap">
        <h2 id={id}>{title}</h2>
        <div className="push">
          <Segments<Order> label={t.scope.order} value={order} onChange={setOrder} options={ORDERS.map((key) => ({ name: key, label: t.scope.orders[key] }))} />
        </div>
      </div>
      {rows.length === 0 ? <p className="t3 md border-t border-line px-4 py-6">{t.scope.none}</p> : (
        <div className="tw">
          <table className="tbl named">
            <thead>
              <tr>
                <th>{name}</th>
                <th className="r x4" title={t.overview.requestsHelp}>{t.overview.requests}</th>
                <th className="r x3" title={t.usage.refusedHelp}>{t.usage.refused}</th>
                <th className="r">{t.usage.failed}</th>
                <th className="r">{t.overview.spend}</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => {
                const href = link(row);
                const rate = failureRate(row);
                return (
                  <tr key={"id" in row ? row.id : row.name}>
                    <td className="grow med" title={row.name}>{href ? <Link className="hover:underline" href={href}><bdi>{row.name}</bdi></Link> : <bdi>{row.name}</bdi>}</td>
                    <td className="r x4">{format.count(row.requests)}</td>
                    <td className="r x3">{format.count(row.refused)}</td>
                    <td className="r" title={rate === null ? NONE : format.percent(rate, 2)}>{format.count(row.errors)}</td>
                    <td className="r">{format.total(row.cost)}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

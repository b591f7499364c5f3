"use client";

import Link from "next/link";

import { Empty, SkeletonRows } from "@/components/ui/states";
import { Reason, Sender, StatusMark, costOf, subjectOf, timeOf } from "@/features/usage/request-cells";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import type { Overview } from "@/lib/queries";

const ROWS = 8;

/** The newest requests; a row opens the request on the usage page. */
export function Latest({ overview }: { overview: Overview | undefined }) {
  const t = useMessages();
  const format = useFormat();
  const requests = overview?.recent.slice(0, ROWS);
  return (
    <section className="panel" aria-labelledby="latest">
      <div className="ph">
        <h2 id="latest">{t.overview.latest}</h2>
        <Link className="link sm push" href="/dashboard/usage">
          {t.overview.allRequests}
        </Link>
      </div>
      {!requests && <SkeletonRows rows={5} height={34} />}
      {requests?.length === 0 && <Empty title={t.requests.none}>{t.requests.noneText}</Empty>}
      {requests && requests.length > 0 && (
        <div className="tw">
          <table className="tbl dense">
            <thead>
              <tr>
                <th>{t.requests.time}</th>
                <th>{t.requests.status}</th>
                <th>{t.requests.model}</th>
                <th className="x2">{t.requests.reason}</th>
                <th className="x2">{t.requests.key}</th>
                <th className="r x3">{t.requests.tokens}</th>
                <th className="r x4">{t.requests.cost}</th>
                <th className="r x3">{t.requests.duration}</th>
              </tr>
            </thead>
            <tbody>
              {requests.map((request) => (
                <tr key={request.id}>
                  <td className="t2" title={format.moment(request.started_at)}>{timeOf(request, format)}</td>
                  <td>
                    <StatusMark request={request} />
                  </td>
                  <td className="med grow">
                    <Link href={`/dashboard/usage?id=${request.id}`}>{subjectOf(request, t, format)}</Link>
                  </td>
                  <td className="x2 t2 cut tight">
                    <Reason request={request} />
                  </td>
                  <td className="x2 cut tight">
                    <Sender request={request} t={t} />
                  </td>
                  <td className="r x3">{request.tokens ? format.count(request.tokens.total) : NONE}</td>
                  <td className="r x4">{costOf(request, format)}</td>
                  <td className="r x3">{format.duration(request.phases?.total_ms)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

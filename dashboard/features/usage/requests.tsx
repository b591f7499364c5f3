"use client";

import { type ColumnDef, createColumnHelper } from "@tanstack/react-table";
import { Pause, Play } from "lucide-react";
import { useMemo, useState } from "react";

import { Button } from "@/components/ui/button";
import { CsvButton } from "@/components/ui/csv-button";
import { DataTable } from "@/components/ui/data-table";
import { MoreButton } from "@/components/ui/more-button";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { Reason, type RequestLine, Sender, StatusMark, Subject, costOf, programOf, timeOf } from "@/features/usage/request-cells";
import { NO_FILTERS, RequestFilters, useFilters } from "@/features/usage/request-filters";
import { requestsAsCsv, useRequests } from "@/features/usage/use-requests";
import { type Format, NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import { useUrlState } from "@/lib/url-state";
import { useIsWaiting } from "@/lib/waiting";
import type { Messages } from "@/messages/en";

const column = createColumnHelper<RequestLine>();

/** The live list of requests with its filters. */
export function Requests({ openId, onOpen }: { openId: string; onOpen(id: string): void }) {
  const t = useMessages();
  const format = useFormat();
  const { set } = useUrlState();
  const [isPaused, setIsPaused] = useState(false);
  const { filters, isFiltered } = useFilters();
  const requests = useRequests(filters, isPaused);
  const columns = useMemo(() => columnsOf(t, format), [t, format]);
  const rows = useMemo(() => requests.data?.pages.flatMap((page) => page.items) ?? [], [requests.data]);
  const isWaiting = useIsWaiting();
  const isPolled = !isPaused && (requests.data?.pages.length ?? 0) <= 1;
  const isLive = isPolled && requests.isSuccess && !isWaiting;
  const state = isLive ? t.requests.live : !isPolled ? t.usage.paused : requests.isPending && !isWaiting ? t.requests.loading : t.requests.notLive;
  return (
    <section className="panel" aria-labelledby="requests">
      <div className="ph flex-wrap">
        <h2 id="requests">{t.requests.title}</h2>
        <span className="key">
          <i className={isLive ? "dot live" : "dot"} />
          {state}
        </span>
        <div className="row wrap push">
          <Button size="small" onClick={() => setIsPaused(!isPaused)} aria-pressed={isPaused}>
            {isPaused ? <Play className="i s" aria-hidden /> : <Pause className="i s" aria-hidden />}
            {isPaused ? t.usage.resume : t.usage.pause}
          </Button>
          <CsvButton name="requests.csv" read={() => requestsAsCsv(filters)} size="small" />
        </div>
      </div>
      <RequestFilters filters={filters} />
      {requests.isError && !requests.data && <Failure error={requests.error} onRetry={() => void requests.refetch()} />}
      {requests.isPending && <SkeletonRows rows={10} height={34} />}
      {requests.isPending && requests.emptyPages > 0 && <p className="pf" role="status">{t.frame.searching(format.count(requests.emptyPages))}</p>}
      {requests.data && rows.length === 0 && (
        requests.hasNextPage ? (
          <Empty title={t.frame.noneSoFar} action={<MoreButton list={requests}>{t.frame.searchOn}</MoreButton>} />
        ) : isFiltered ? (
          <Empty title={t.requests.noneFiltered} action={<Button onClick={() => set(NO_FILTERS)}>{t.requests.clear}</Button>} />
        ) : (
          <Empty title={t.requests.none}>{t.requests.noneText}</Empty>
        )
      )}
      {rows.length > 0 && (
        <>
          <DataTable label={t.requests.title} rows={rows} columns={columns} rowHeight={34} rowId={(request) => request.id} onOpen={(request) => onOpen(request.id)} openId={openId} />
          <div className="pf">
            {requests.hasNextPage ? (
              <MoreButton list={requests} look="ghost">{t.usage.more}</MoreButton>
            ) : (
              <span>{t.usage.end}</span>
            )}
          </div>
        </>
      )}
    </section>
  );
}

function columnsOf(t: Messages, format: Format): ColumnDef<RequestLine>[] {
  return [
    column.display({
      id: "time",
      header: t.requests.time,
      meta: { className: "t2" },
      cell: ({ row: { original } }) => <span title={format.moment(original.started_at)}>{timeOf(original, format)}</span>,
    }),
    column.display({ id: "status", header: t.requests.status, cell: ({ row: { original } }) => <StatusMark request={original} /> }),
    column.display({
      id: "model",
      header: t.requests.model,
      meta: { className: "med grow" },
      cell: ({ row: { original } }) => <Subject request={original} t={t} format={format} />,
    }),
    column.display({ id: "reason", header: t.requests.reason, meta: { className: "x2 t2 cut tight" }, cell: ({ row: { original } }) => <Reason request={original} /> }),
    column.display({ id: "key", header: t.requests.key, meta: { className: "x2 cut tight" }, cell: ({ row: { original } }) => <Sender request={original} t={t} /> }),
    column.display({ id: "program", header: t.usage.program, meta: { className: "x3 t2" }, cell: ({ row: { original } }) => programOf(original) }),
    column.display({
      id: "tokens",
      header: t.requests.tokens,
      meta: { className: "r x3" },
      cell: ({ row: { original: { tokens } } }) => (tokens ? format.count(tokens.total) : NONE),
    }),
    column.display({ id: "cost", header: t.requests.cost, meta: { className: "r x5" }, cell: ({ row: { original } }) => costOf(original, format) }),
    column.display({
      id: "duration",
      header: t.requests.duration,
      meta: { className: "r x3" },
      cell: ({ row: { original } }) => format.duration(original.phases?.total_ms),
    }),
  ];
}

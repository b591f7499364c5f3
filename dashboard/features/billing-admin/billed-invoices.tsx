"use client";

import { type ColumnDef, createColumnHelper } from "@tanstack/react-table";
import { useMemo } from "react";

import { Button } from "@/components/ui/button";
import { DataTable } from "@/components/ui/data-table";
import { MoreButton } from "@/components/ui/more-button";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { Segments } from "@/components/ui/tabs";
import { invoiceState } from "@/features/billing/billing-words";
import { StateTag } from "@/features/billing/state-tag";
import { type BilledInvoice, useAllInvoices } from "@/features/billing-admin/use-billing-admin";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";
import { useUrlState } from "@/lib/url-state";

const STATES = ["", "review", "open", "paid", "uncollectible", "void"] as const;

const column = createColumnHelper<BilledInvoice>();

/** The invoices of all users by state, newest first. */
export function BilledInvoices({ openId, onOpen }: { openId: string; onOpen(id: string): void }) {
  const t = useMessages();
  const format = useFormat();
  const { get, set } = useUrlState();
  const state = STATES.find((of) => of === get("state")) ?? "";
  const list = useAllInvoices(state);
  const invoices = useMemo(() => (list.data?.pages ?? []).flatMap((page) => page.items), [list.data]);
  const clear = <Button onClick={() => set({ state: "" })}>{t.keys.clear}</Button>;
  return (
    <section className="panel" aria-label={t.frame.invoices}>
      <div className="ph flex-wrap">
        <Segments label={t.invoices.state} value={state} onChange={(next) => set({ state: next })} options={STATES.map((name) => ({ name, label: name === "" ? t.invoices.filters[""] : (t.invoices.states[name] ?? name) }))} />
      </div>
      {list.isError && !list.data && <Failure error={list.error} onRetry={() => void list.refetch()} />}
      {list.isPending && <SkeletonRows rows={6} height={52} />}
      {list.data && invoices.length === 0 && (state === "" ? <Empty title={t.billingAdmin.none}>{t.billingAdmin.noneText}</Empty> : <Empty title={t.invoices.noneFiltered} action={clear} />)}
      {invoices.length > 0 && <Table invoices={invoices} openId={openId} onOpen={onOpen} />}
      {invoices.length > 0 && (
        <div className="pf">
          <span className="num nowrap">{t.invoices.count(format.count(invoices.length))}</span>
          {list.hasNextPage && (
            <MoreButton list={list} className="push">{t.invoices.more}</MoreButton>
          )}
        </div>
      )}
    </section>
  );
}

/** The state of an invoice, and the number of days that it waits for. */
function State({ of: { invoice }, now }: { of: BilledInvoice; now: Date }) {
  const t = useMessages();
  const format = useFormat();
  const days = invoice.unsigned_days?.length ?? 0;
  return (
    <>
      <StateTag of={invoiceState(invoice, now, t)} />
      {days > 0 && <span className="sub num">{t.billingAdmin.unsigned(format.count(days))}</span>}
    </>
  );
}

function Table({ invoices, openId, onOpen }: { invoices: BilledInvoice[]; openId: string; onOpen(id: string): void }) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const columns = useMemo((): ColumnDef<BilledInvoice>[] => [
    column.display({
      id: "user",
      header: t.billingAdmin.user,
      meta: { className: "grow med" },
      cell: ({ row: { original: { user, invoice } } }) => (
        <>
          <bdi>{user.name}</bdi>
          <span className="sub num">{invoice.number ?? t.invoices.noNumber}</span>
        </>
      ),
    }),
    column.display({ id: "state", header: t.invoices.state, meta: { className: "x5" }, cell: ({ row: { original } }) => <State of={original} now={now} /> }),
    column.display({ id: "kind", header: t.billingAdmin.kind, meta: { className: "x2 t2" }, cell: ({ row: { original: { invoice } } }) => t.invoices.kinds[invoice.kind] ?? invoice.kind }),
    column.display({ id: "period", header: t.invoices.period, meta: { className: "x2 t2" }, cell: ({ row: { original: { invoice: { period } } } }) => `${format.utcDay(period.first_day)} – ${format.utcFull(period.last_day)}` }),
    column.display({ id: "due", header: t.invoices.due, meta: { className: "x3 t2" }, cell: ({ row: { original: { invoice } } }) => (invoice.due_at && invoice.state === "open" ? format.day(invoice.due_at) : NONE) }),
    column.display({ id: "total", header: t.invoices.total, meta: { className: "r" }, cell: ({ row: { original } }) => format.bill(original.invoice.total) }),
    column.display({
      id: "remaining",
      header: t.invoices.remaining,
      meta: { className: "r x3" },
      cell: ({ row: { original: { invoice } } }) => (invoice.remaining.amount === 0 ? <span className="zero">{format.bill(invoice.remaining)}</span> : format.bill(invoice.remaining)),
    }),
  ], [t, format, now]);
  return <DataTable label={t.frame.invoices} rows={invoices} columns={columns} rowHeight={52} rowId={({ invoice }) => invoice.id} openId={openId} onOpen={({ invoice }) => onOpen(invoice.id)} />;
}

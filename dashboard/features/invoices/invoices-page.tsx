"use client";

import { type ColumnDef, createColumnHelper } from "@tanstack/react-table";
import Link from "next/link";
import { useMemo } from "react";

import { Button, buttonClass } from "@/components/ui/button";
import { DataTable } from "@/components/ui/data-table";
import { MoreButton } from "@/components/ui/more-button";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { Segments } from "@/components/ui/tabs";
import { BillingShell } from "@/features/billing/billing-shell";
import { invoiceState } from "@/features/billing/billing-words";
import { StateTag } from "@/features/billing/state-tag";
import { type Invoice, useInvoices } from "@/features/billing/use-billing";
import { InvoiceDrawer } from "@/features/invoices/invoice-drawer";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";
import { useUrlState } from "@/lib/url-state";

const STATES = ["", "open", "paid", "void"] as const;

const column = createColumnHelper<Invoice>();

/** The invoices of the reader, newest first. */
export function InvoicesPage() {
  const { get, set } = useUrlState();
  const id = get("id");
  return (
    <BillingShell page="invoices">
      <InvoiceList />
      {id !== "" && <InvoiceDrawer key={id} id={id} onClose={() => set({ id: "" })} />}
    </BillingShell>
  );
}

function InvoiceList() {
  const t = useMessages();
  const format = useFormat();
  const { get, set } = useUrlState();
  const state = STATES.find((of) => of === get("state")) ?? "";
  const list = useInvoices(state);
  const invoices = useMemo(() => (list.data?.pages ?? []).flatMap((page) => page.items), [list.data]);
  const plans = <Link className={buttonClass({ look: "primary" })} href="/dashboard/billing">{t.invoices.toBilling}</Link>;
  const clear = <Button onClick={() => set({ state: "" })}>{t.keys.clear}</Button>;
  return (
    <section className="panel" aria-label={t.frame.invoices}>
      <div className="ph flex-wrap">
        <Segments label={t.invoices.state} value={state} onChange={(next) => set({ state: next })} options={STATES.map((name) => ({ name, label: t.invoices.filters[name] }))} />
      </div>
      {list.isError && !list.data && <Failure error={list.error} onRetry={() => void list.refetch()} />}
      {list.isPending && <SkeletonRows rows={6} height={52} />}
      {list.data && invoices.length === 0 && (
        state === "" ? <Empty title={t.invoices.none} action={plans}>{t.invoices.noneText}</Empty> : <Empty title={t.invoices.noneFiltered} action={clear} />
      )}
      {invoices.length > 0 && <InvoiceTable invoices={invoices} openId={get("id")} onOpen={(invoice) => set({ id: invoice.id })} />}
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

function InvoiceTable({ invoices, openId, onOpen }: { invoices: Invoice[]; openId: string; onOpen(invoice: Invoice): void }) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const columns = useMemo((): ColumnDef<Invoice>[] => [
    column.display({
      id: "number",
      header: t.invoices.number,
      meta: { className: "grow med" },
      cell: ({ row: { original } }) => (
        <>
          <span className="num">{original.number ?? t.invoices.noNumber}</span>
          <span className="sub">{t.invoices.kinds[original.kind] ?? original.kind}</span>
        </>
      ),
    }),
    column.display({ id: "state", header: t.invoices.state, meta: { className: "x5" }, cell: ({ row: { original } }) => <StateTag of={invoiceState(original, now, t)} /> }),
    column.display({
      id: "period",
      header: t.invoices.period,
      meta: { className: "x2 t2" },
      cell: ({ row: { original: { period } } }) => `${format.utcDay(period.first_day)} – ${format.utcFull(period.last_day)}`,
    }),
    column.display({ id: "issued", header: t.invoices.issued, meta: { className: "x1 t2" }, cell: ({ row: { original } }) => (original.issued_at ? format.day(original.issued_at) : NONE) }),
    column.display({ id: "due", header: t.invoices.due, meta: { className: "x3 t2" }, cell: ({ row: { original } }) => (original.due_at && original.state === "open" ? format.day(original.due_at) : NONE) }),
    column.display({ id: "total", header: t.invoices.total, meta: { className: "r" }, cell: ({ row: { original } }) => format.bill(original.total) }),
    column.display({
      id: "remaining",
      header: t.invoices.remaining,
      meta: { className: "r x3" },
      cell: ({ row: { original } }) => (original.remaining.amount === 0 ? <span className="zero">{format.bill(original.remaining)}</span> : format.bill(original.remaining)),
    }),
  ], [t, format, now]);
  return <DataTable label={t.frame.invoices} rows={invoices} columns={columns} rowHeight={52} rowId={({ id }) => id} openId={openId} onOpen={onOpen} />;
}

"use client";

import { type ColumnDef, createColumnHelper } from "@tanstack/react-table";
import { useMemo } from "react";

import { Button } from "@/components/ui/button";
import { DataTable } from "@/components/ui/data-table";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { StateTag } from "@/features/billing/state-tag";
import { type Webhook, useWebhooks } from "@/features/webhooks/use-webhooks";
import { webhookState } from "@/features/webhooks/webhook-words";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";

const column = createColumnHelper<Webhook>();

/** All webhooks with their events. */
export function WebhookList({ openId, onOpen, onAdd }: { openId: string; onOpen(webhook: Webhook): void; onAdd(): void }) {
  const t = useMessages();
  const format = useFormat();
  const list = useWebhooks();
  const webhooks = list.data ?? [];
  const add = <Button look="primary" onClick={onAdd}>{t.webhooks.add}</Button>;
  return (
    <section className="panel" aria-label={t.frame.webhooks}>
      {list.isError && !list.data && <Failure error={list.error} onRetry={() => void list.refetch()} />}
      {list.isPending && <SkeletonRows rows={4} height={52} />}
      {list.data && webhooks.length === 0 && <Empty title={t.webhooks.none} action={add}>{t.webhooks.noneText}</Empty>}
      {webhooks.length > 0 && <Table webhooks={webhooks} openId={openId} onOpen={onOpen} />}
      {webhooks.length > 0 && (
        <div className="pf">
          <span className="num nowrap">{t.webhooks.count(format.count(webhooks.length))}</span>
        </div>
      )}
    </section>
  );
}

function Table({ webhooks, openId, onOpen }: { webhooks: Webhook[]; openId: string; onOpen(webhook: Webhook): void }) {
  const t = useMessages();
  const format = useFormat();
  const columns = useMemo((): ColumnDef<Webhook>[] => [
    column.display({
      id: "url",
      header: t.webhooks.url,
      meta: { className: "grow med" },
      cell: ({ row: { original } }) => (
        <>
          <span className="trunc">{original.url}</span>
          <span className="sub trunc">{original.events.join(", ")}</span>
        </>
      ),
    }),
    column.display({ id: "state", header: t.webhooks.state, meta: { className: "x5" }, cell: ({ row: { original } }) => <StateTag of={webhookState(original, t)} /> }),
    column.display({ id: "delivered", header: t.webhooks.delivered, meta: { className: "x2 t2" }, cell: ({ row: { original } }) => (original.delivered_at ? format.moment(original.delivered_at) : NONE) }),
    column.display({ id: "created", header: t.webhooks.created, meta: { className: "x3 t2" }, cell: ({ row: { original } }) => format.day(original.created_at) }),
  ], [t, format]);
  return <DataTable label={t.frame.webhooks} rows={webhooks} columns={columns} rowHeight={52} rowId={({ id }) => id} openId={openId} onOpen={onOpen} />;
}

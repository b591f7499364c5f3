"use client";

import { type ColumnDef, createColumnHelper } from "@tanstack/react-table";
import { useMemo } from "react";

import { DataTable } from "@/components/ui/data-table";
import { Meter } from "@/components/ui/meter";
import { KeyActions, type KeyTask } from "@/features/keys/key-actions";
import { type ApiKey, hasEnded, scopeOf, stateOf } from "@/features/keys/key-state";
import { AdminTag } from "@/features/keys/admin-tag";
import { ShortKey } from "@/features/keys/short-key";
import type { Schemas } from "@/lib/api";
import { type Format, NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";
import type { Messages } from "@/messages/en";

interface Row {
  key: ApiKey;
  use: Schemas["OverviewKey"] | undefined;
}

interface KeyTableProps {
  keys: ApiKey[];
  use: ReadonlyMap<string, Schemas["OverviewKey"]>;
  onTask(task: KeyTask): void;
  onOpen(id: string): void;
  openId: string;
}

const column = createColumnHelper<Row>();

/** Keys with their state, scope, use and expiry; ended keys are dimmed. */
export function KeyTable({ keys, use, onTask, onOpen, openId }: KeyTableProps) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const rows = useMemo(() => keys.map((key): Row => ({ key, use: use.get(key.id) })), [keys, use]);
  const columns = useMemo(() => columnsOf({ t, format, now, onTask }), [t, format, now, onTask]);
  return (
    <DataTable
      label={t.frame.keys}
      rows={rows}
      columns={columns}
      rowHeight={52}
      rowId={({ key }) => key.id}
      rowClass={({ key }) => (hasEnded(key, now) ? "off" : "")}
      onOpen={({ key }) => onOpen(key.id)}
      openId={openId}
    />
  );
}

interface Words {
  t: Messages;
  format: Format;
  now: Date;
  onTask(task: KeyTask): void;
}

function columnsOf({ t, format, now, onTask }: Words): ColumnDef<Row>[] {
  return [
    column.display({
      id: "key",
      header: t.keys.key,
      meta: { className: "grow" },
      cell: ({ row: { original: { key } } }) => (
        <span title={key.label}>
          <span className="med"><bdi>{key.label}</bdi>{key.admin && <AdminTag />}</span>
          <ShortKey apiKey={key} className="sub" />
        </span>
      ),
    }),
    column.display({
      id: "status",
      header: t.keys.status,
      meta: { className: "x5" },
      cell: ({ row: { original } }) => <KeyStatus row={original} words={{ t, format, now, onTask }} />,
    }),
    column.display({
      id: "scope",
      header: t.keys.scope,
      meta: { className: "x1 t2 fill" },
      cell: ({ row: { original: { key } } }) => <span title={scopeOf(key, t, format)}>{scopeOf(key, t, format)}</span>,
    }),
    column.display({
      id: "credits",
      header: t.keys.creditsToday,
      meta: { className: "r x2" },
      cell: ({ row: { original } }) => <Credits row={original} format={format} />,
    }),
    column.display({
      id: "month",
      header: t.keys.thisMonth,
      meta: { className: "r x3" },
      cell: ({ row: { original: { use } } }) => (use ? format.total(use.month.cost) : NONE),
    }),
    column.display({
      id: "used",
      header: t.keys.lastUsed,
      meta: { className: "x3 t2" },
      cell: ({ row: { original: { key } } }) => {
        return key.last_used_at ? <span title={format.moment(key.last_used_at)}>{format.ago(key.last_used_at, now)}</span> : t.keys.never;
      },
    }),
    column.display({
      id: "expires",
      header: t.keys.expires,
      meta: { className: "x2 t2" },
      cell: ({ row: { original: { key } } }) => {
        return key.expires_at ? <span title={format.moment(key.expires_at)}>{format.day(key.expires_at)}</span> : t.keys.never;
      },
    }),
    column.display({
      id: "actions",
      header: () => <span className="vh">{t.keys.actions}</span>,
      meta: { className: "r w-11" },
      cell: ({ row: { original: { key } } }) => (hasEnded(key, now) ? null : <KeyActions apiKey={key} onTask={onTask} />),
    }),
  ];
}

function KeyStatus({ row, words: { t, format, now } }: { row: Row; words: Words }) {
  const { key, use } = row;
  switch (stateOf(key, now, use && { credits: use.today.credits })) {
    case "revoked":
      return <span className="tag">{t.keys.revoked}</span>;
    case "expired":
      return <span className="tag">{t.keys.expired}</span>;
    case "used-up":
      return <span className="tag warn">{t.keys.quotaUsed}</span>;
    case "ending":
      return <span className="tag warn">{t.keys.expiresIn(format.left(key.expires_at ?? "", now))}</span>;
    case "rotating":
      return <span className="tag acc" title={format.moment(key.previous?.until ?? "")}>{t.keys.oldSecret(format.left(key.previous?.until ?? "", now))}</span>;
    case "active":
      return (
        <span className="st">
          <i className="dot ok" />
          {t.keys.active}
        </span>
      );
  }
}

function Credits({ row: { key, use }, format }: { row: Row; format: Format }) {
  const limit = key.limits.credits_per_day;
  const used = use?.today.credits ?? 0;
  if (!limit) return <>{format.credits(used)}</>;
  return (
    <>
      {format.credits(used)} <span className="t3">/ {format.count(limit)}</span>
      <span className="mt-1 flex justify-end">
        <Meter size="mini" label={key.label} share={used / limit} />
      </span>
    </>
  );
}

"use client";

import { type ColumnDef, createColumnHelper } from "@tanstack/react-table";
import { useMemo } from "react";

import { DataTable } from "@/components/ui/data-table";
import { actionName, actorName, detailText } from "@/features/audit/audit-words";
import type { AuditLine } from "@/features/audit/use-audit";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";

const column = createColumnHelper<AuditLine>();

interface AuditTableProps {
  lines: AuditLine[];
  openId: string;
  onOpen(id: string): void;
}

export function AuditTable({ lines, openId, onOpen }: AuditTableProps) {
  const t = useMessages();
  const format = useFormat();
  const columns = useMemo((): ColumnDef<AuditLine>[] => [
    column.display({
      id: "at",
      header: t.audit.time,
      meta: { className: "num t2" },
      cell: ({ row: { original } }) => (
        <span title={format.moment(original.at)}>
          <span className="x4">{format.moment(original.at)}</span>
          <span className="m4">{format.dayMonth(original.at)}, {format.clock(original.at)}</span>
        </span>
      ),
    }),
    column.display({
      id: "actor",
      header: t.audit.actor,
      meta: { className: "cut tight x4" },
      cell: ({ row: { original } }) => <bdi title={actorName(original, t)}>{actorName(original, t)}</bdi>,
    }),
    column.display({ id: "action", header: t.audit.action, meta: { className: "med grow end" }, cell: ({ row: { original } }) => actionName(original.action, t) }),
    column.display({
      id: "owner",
      header: t.audit.concerns,
      meta: { className: "x2 cut tight" },
      cell: ({ row: { original } }) => original.user_name ? <bdi title={original.user_name}>{original.user_name}</bdi> : NONE,
    }),
    column.display({
      id: "detail",
      header: t.audit.values,
      meta: { className: "x3 fill t2" },
      cell: ({ row: { original } }) => {
        const text = detailText(original, t, format);
        return text === "" ? NONE : <span title={text}>{text}</span>;
      },
    }),
    column.display({ id: "address", header: t.audit.address, meta: { className: "x1 cut tight t3 num" }, cell: ({ row: { original: { actor } } }) => actor.address ? <span title={actor.address}>{actor.address}</span> : NONE }),
  ], [t, format]);
  return <DataTable label={t.frame.audit} rows={lines} columns={columns} rowHeight={34} rowId={({ id }) => id} onOpen={({ id }) => onOpen(id)} openId={openId} />;
}

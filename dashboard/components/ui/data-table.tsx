"use client";

import { type ColumnDef, type RowData, flexRender, getCoreRowModel, useReactTable } from "@tanstack/react-table";
import { useVirtualizer } from "@tanstack/react-virtual";
import { clsx } from "clsx";
import { useRef } from "react";

declare module "@tanstack/react-table" {
  // eslint-disable-next-line @typescript-eslint/no-unused-vars -- the type parameters must be those of the library
  interface ColumnMeta<TData extends RowData, TValue> {
    /** Classes of the head and of each cell: alignment, and the width below which the column is dropped. */
    className?: string;
  }
}

interface DataTableProps<Row> {
  label: string;
  rows: Row[];
  columns: ColumnDef<Row>[];
  rowHeight: 34 | 52;
  /** Whether the table is as high as a chart at most, and scrolls in itself. */
  isShort?: boolean;
  rowId(row: Row): string;
  rowClass?(row: Row): string;
  /** Opens a row by click or Enter. */
  onOpen?: ((row: Row) => void) | undefined;
  openId?: string | undefined;
}

/** Longer lists scroll in themselves and draw only the visible rows. */
const PLAIN_ROWS_MAX = 40;
const OVERSCAN = 6;

/** A table of which at most 50 rows are in the document. */
export function DataTable<Row>({ label, rows, columns, rowHeight, isShort = false, rowId, rowClass, onOpen, openId }: DataTableProps<Row>) {
  const scroller = useRef<HTMLDivElement>(null);
  // eslint-disable-next-line react-hooks/incompatible-library -- the table is not memoised
  const table = useReactTable({ data: rows, columns, getCoreRowModel: getCoreRowModel(), getRowId: rowId });
  const isVirtual = rows.length > PLAIN_ROWS_MAX;
  const virtual = useVirtualizer({
    count: rows.length,
    enabled: isVirtual,
    getScrollElement: () => scroller.current,
    estimateSize: () => rowHeight,
    overscan: OVERSCAN,
  });
  const all = table.getRowModel().rows;
  const items = virtual.getVirtualItems();
  const shown = isVirtual ? items.flatMap((item) => all[item.index] ?? []) : all;
  const before = isVirtual ? (items[0]?.start ?? 0) : 0;
  const after = isVirtual ? virtual.getTotalSize() - (items.at(-1)?.end ?? 0) : 0;
  // 70 % of a 4K screen would be more than 50 dense rows.
  const height = isShort ? "max-h-[256px]" : isVirtual && "max-h-[min(70vh,1100px)]";
  return (
    <div ref={scroller} className={clsx("tw", height && "overflow-y-auto", height)} tabIndex={height && !onOpen ? 0 : undefined}>
      <table className={clsx("tbl", rowHeight === 34 ? "dense" : "two")} aria-label={label} aria-rowcount={rows.length + 1}>
        <thead>
          {table.getHeaderGroups().map((group) => (
            <tr key={group.id}>
              {group.headers.map((header) => (
                <th key={header.id} className={header.column.columnDef.meta?.className?.replace("t2", "")}>
                  {flexRender(header.column.columnDef.header, header.getContext())}
                </th>
              ))}
            </tr>
          ))}
        </thead>
        <tbody>
          <Gap height={before} columns={columns.length} />
          {shown.map((row) => (
            <tr
              key={row.id}
              className={clsx(rowClass?.(row.original), onOpen && "cursor-pointer")}
              aria-selected={onOpen ? row.id === openId : undefined}
              tabIndex={onOpen ? 0 : undefined}
              onClick={onOpen && (() => onOpen(row.original))}
              onKeyDown={onOpen && ((event) => event.key === "Enter" && onOpen(row.original))}
            >
              {row.getVisibleCells().map((cell) => (
                <td key={cell.id} className={cell.column.columnDef.meta?.className}>
                  {flexRender(cell.column.columnDef.cell, cell.getContext())}
                </td>
              ))}
            </tr>
          ))}
          <Gap height={after} columns={columns.length} />
        </tbody>
      </table>
    </div>
  );
}

/** The height of rows that are not drawn. */
function Gap({ height, columns }: { height: number; columns: number }) {
  if (height <= 0) return null;
  return (
    <tr aria-hidden className="gap">
      <td colSpan={columns} style={{ height }} />
    </tr>
  );
}

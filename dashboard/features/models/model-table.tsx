"use client";

import { type ColumnDef, createColumnHelper } from "@tanstack/react-table";
import { useMemo } from "react";

import { DataTable } from "@/components/ui/data-table";
import { type Model, rateOf } from "@/features/models/model-prices";
import { type Format, NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import type { Messages } from "@/messages/en";

interface ModelTableProps {
  models: Model[];
  openName: string;
  onOpen(name: string): void;
}

const column = createColumnHelper<Model>();

/** Models with their provider, prices and limits; a row opens all of its prices. */
export function ModelTable({ models, openName, onOpen }: ModelTableProps) {
  const t = useMessages();
  const format = useFormat();
  const columns = useMemo(() => columnsOf(t, format), [t, format]);
  return (
    <DataTable
      label={t.frame.models}
      rows={models}
      columns={columns}
      rowHeight={52}
      rowId={(model) => model.name}
      rowClass={(model) => (model.credential === "missing" ? "off" : "")}
      onOpen={(model) => onOpen(model.name)}
      openId={openName}
    />
  );
}

function columnsOf(t: Messages, format: Format): ColumnDef<Model>[] {
  const rate = (name: Parameters<typeof rateOf>[1], header: string, className: string): ColumnDef<Model> => {
    return column.display({ id: name, header, meta: { className }, cell: ({ row: { original } }) => rateOf(original, name, format) ?? NONE });
  };
  const tokens = (id: "input_tokens_max" | "output_tokens_max", header: string, className: string): ColumnDef<Model> => {
    return column.display({ id, header, meta: { className }, cell: ({ row: { original: { limits } } }) => (limits ? format.count(limits[id]) : NONE) });
  };
  return [
    column.display({ id: "model", header: t.models.model, meta: { className: "grow" }, cell: ({ row: { original } }) => <Name model={original} t={t} format={format} /> }),
    column.display({ id: "provider", header: t.models.provider, meta: { className: "x3" }, cell: ({ row: { original } }) => <Provider model={original} t={t} /> }),
    rate("input", t.models.input, "r x4"),
    rate("cached_input", t.models.cached, "r x2"),
    rate("cache_write_short", t.models.cacheWrite, "r x1"),
    rate("output", t.models.output, "r x4"),
    tokens("input_tokens_max", t.models.inputMax, "r x2 t2"),
    tokens("output_tokens_max", t.models.outputMax, "r x1 t2"),
    column.display({ id: "credits", header: t.models.credits, meta: { className: "r x3" }, cell: ({ row: { original } }) => format.count(original.credits) }),
  ];
}

interface CellProps {
  model: Model;
  t: Messages;
}

function Name({ model, t, format }: CellProps & { format: Format }) {
  const [input, output] = [rateOf(model, "input", format), rateOf(model, "output", format)];
  const price = model.price ? t.models.inAndOut(input ?? NONE, output ?? NONE) : t.models.noPrice;
  const others = model.aliases.join(", ");
  return (
    <span title={[model.name, ...model.aliases].join("\n")}>
      <span className="med">{model.name}</span>
      <span className="sub m4 num">{price}</span>
      {others !== "" && <span className="sub mono @max-[430px]:hidden">{others}</span>}
    </span>
  );
}

function Provider({ model, t }: CellProps) {
  return (
    <>
      {model.provider}
      {model.credential === "missing" && <span className="tag warn ml-2">{t.models.noCredential}</span>}
      {!model.price && <span className="tag ml-2">{t.models.noPrice}</span>}
    </>
  );
}

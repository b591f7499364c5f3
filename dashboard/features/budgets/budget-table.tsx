"use client";

import { type ColumnDef, createColumnHelper } from "@tanstack/react-table";
import { Pencil, Trash2 } from "lucide-react";
import { useMemo } from "react";

import { ActionMenu } from "@/components/ui/action-menu";
import { DataTable } from "@/components/ui/data-table";
import { Meter } from "@/components/ui/meter";
import { figuresOf, measureOf, ruleText } from "@/features/budgets/budget-figures";
import type { Budget } from "@/features/budgets/use-budgets";
import { passedOf } from "@/features/overview/limits";
import { type Format, NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";
import type { Messages } from "@/messages/en";

export interface BudgetTask {
  kind: "change" | "remove";
  budget: Budget;
}

/** Whom a budget applies to, in words. */
export function holderOf(budget: Budget, t: Messages): string {
  if (budget.name) return budget.name;
  if (budget.dimension === "global") return t.budgets.everybody;
  return budget.id ?? t.budgets.each[budget.dimension];
}

export function idOf(budget: Budget): string {
  return [budget.dimension, budget.id ?? "each", measureOf(budget), budget.per, budget.source].join("/");
}

const column = createColumnHelper<Budget>();

interface BudgetTableProps {
  budgets: Budget[];
  onTask(task: BudgetTask): void;
}

export function BudgetTable({ budgets, onTask }: BudgetTableProps) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const columns = useMemo((): ColumnDef<Budget>[] => [
    column.display({
      id: "holder",
      header: t.budgets.appliesTo,
      meta: { className: "grow" },
      cell: ({ row: { original } }) => (
        <span title={holderOf(original, t)}>
          <span className="med"><bdi>{holderOf(original, t)}</bdi></span>
          <span className="sub">{t.budgets.dimensions[original.dimension]}</span>
        </span>
      ),
    }),
    column.display({
      id: "measure",
      header: t.budgets.limitOn,
      meta: { className: "x2 t2" },
      cell: ({ row: { original } }) => ruleText(original, t),
    }),
    column.display({
      id: "used",
      header: t.budgets.used,
      meta: { className: "r" },
      cell: ({ row: { original } }) => <Used budget={original} words={{ t, format, now }} />,
    }),
    column.display({
      id: "remaining",
      header: t.budgets.remaining,
      meta: { className: "r x4" },
      cell: ({ row: { original } }) => figuresOf(original, format).remaining ?? NONE,
    }),
    column.display({
      id: "resets",
      header: t.budgets.resets,
      meta: { className: "x3 t2 num" },
      cell: ({ row: { original } }) => <span title={format.moment(original.resets_at)}>{format.left(original.resets_at, now)}</span>,
    }),
    column.display({
      id: "source",
      header: t.budgets.source,
      meta: { className: "x1" },
      cell: ({ row: { original } }) => <span className="tag">{t.budgets.sources[original.source]}</span>,
    }),
    column.display({
      id: "actions",
      header: () => <span className="vh">{t.users.actions}</span>,
      meta: { className: "r w-11" },
      cell: ({ row: { original } }) => original.source !== "api" ? (
        <span className="t3 sm x4" title={t.budgets.readOnlyText}>{t.budgets.readOnly}</span>
      ) : (
        <ActionMenu
          label={t.budgets.actionsFor(holderOf(original, t))}
          actions={[
            { name: t.budgets.change, icon: Pencil, onSelect: () => onTask({ kind: "change", budget: original }) },
            { name: t.budgets.remove, icon: Trash2, isDangerous: true, onSelect: () => onTask({ kind: "remove", budget: original }) },
          ]}
        />
      ),
    }),
  ], [t, format, now, onTask]);
  return <DataTable label={t.frame.budgets} rows={budgets} columns={columns} rowHeight={52} rowId={idOf} />;
}

function Used({ budget, words: { t, format, now } }: { budget: Budget; words: { t: Messages; format: Format; now: Date } }) {
  const { amount, used, share } = figuresOf(budget, format);
  if (used === undefined || share === undefined) return <span title={t.budgets.eachText}>{t.budgets.eachAmount(amount)}</span>;
  const name = `${holderOf(budget, t)}, ${ruleText(budget, t)}: ${format.percent(share)}`;
  return (
    <>
      {used} <span className="t3">/ {amount}</span>
      <span className="mt-1 flex justify-end">
        <Meter size="mini" label={name} share={share} passed={passedOf(budget.resets_at, budget.per, now)} />
      </span>
    </>
  );
}

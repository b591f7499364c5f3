"use client";

import { Plus } from "lucide-react";
import dynamic from "next/dynamic";
import { useMemo, useState } from "react";

import { Button } from "@/components/ui/button";
import { SearchField } from "@/components/ui/search-field";
import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { Segments } from "@/components/ui/tabs";
import { figuresOf, pathOf, ruleText } from "@/features/budgets/budget-figures";
import { BudgetTable, type BudgetTask, holderOf } from "@/features/budgets/budget-table";
import { type Budget, useBudgetChanges, useBudgets } from "@/features/budgets/use-budgets";
import { AdminShell } from "@/features/frame/admin-shell";
import { useFormat, useMessages } from "@/lib/language";
import { useLater } from "@/lib/later";
import { useUrlState } from "@/lib/url-state";
import type { Messages } from "@/messages/en";

const dialogs = () => import("@/features/budgets/set-dialog");
const SetDialog = dynamic(() => dialogs().then((module) => module.SetDialog));
const ChangeDialog = dynamic(() => dialogs().then((module) => module.ChangeDialog));

const SHOWS = ["", "user", "key", "plan", "global"] as const;

/** What may be spent, by whom, and what of it is used. */
export function BudgetsPage() {
  const t = useMessages();
  const { get, set } = useUrlState();
  const [task, setTask] = useState<BudgetTask>();
  useLater(dialogs);
  const create = (
    <Button look="primary" onClick={() => set({ set: "user" })}>
      <Plus className="i" aria-hidden />
      {t.budgets.set}
    </Button>
  );
  const close = () => setTask(undefined);
  return (
    <AdminShell page="budgets" actions={create}>
      <BudgetList onTask={setTask} onSet={() => set({ set: "user" })} />
      {get("set") !== "" && (
        <SetDialog proposed={{ dimension: get("set"), email: get("email") }} onClose={() => set({ set: "", email: "" })} />
      )}
      {task?.kind === "change" && <ChangeDialog budget={task.budget} onClose={close} />}
      {task?.kind === "remove" && <RemoveDialog budget={task.budget} onClose={close} />}
    </AdminShell>
  );
}

function RemoveDialog({ budget, onClose }: { budget: Budget; onClose(): void }) {
  const t = useMessages();
  const format = useFormat();
  const { remove } = useBudgetChanges();
  const what = ruleText(budget, t);
  return (
    <ConfirmDialog
      title={t.budgets.removeTitle(holderOf(budget, t))}
      text={t.budgets.removeText(what, figuresOf(budget, format).amount)}
      action={t.budgets.remove}
      isBusy={remove.isPending}
      error={remove.error}
      onConfirm={() => remove.mutate(pathOf(budget), { onSuccess: onClose })}
      onClose={onClose}
    />
  );
}

/** The budgets of a dimension whose holder contains the text. */
export function matchingBudgets(budgets: readonly Budget[], filter: { dimension: string; text: string }, t: Messages): Budget[] {
  const words = filter.text.trim().toLowerCase();
  return budgets.filter((budget) => {
    return (filter.dimension === "" || budget.dimension === filter.dimension) && (words === "" || holderOf(budget, t).toLowerCase().includes(words));
  });
}

function BudgetList({ onTask, onSet }: { onTask(task: BudgetTask): void; onSet(): void }) {
  const t = useMessages();
  const format = useFormat();
  const { get, set } = useUrlState();
  const budgets = useBudgets();
  const dimension = SHOWS.find((name) => name === get("show")) ?? "";
  const text = get("q");
  const shown = useMemo(() => matchingBudgets(budgets.data?.items ?? [], { dimension, text }, t), [budgets.data, dimension, text, t]);
  if (budgets.data?.items.length === 0) {
    return (
      <section className="panel">
        <Empty title={t.budgets.none} action={<Button look="primary" onClick={onSet}>{t.budgets.set}</Button>}>{t.budgets.noneText}</Empty>
      </section>
    );
  }
  return (
    <section className="panel" aria-label={t.frame.budgets}>
      <div className="ph flex-wrap">
        <SearchField label={t.budgets.search} value={text} onChange={(q) => set({ q })} />
        <Segments
          label={t.budgets.appliesTo}
          value={dimension}
          onChange={(show) => set({ show })}
          options={SHOWS.map((name) => ({ name, label: name === "" ? t.users.all : t.budgets.dimensions[name] }))}
        />
      </div>
      {budgets.isError && !budgets.data && <Failure error={budgets.error} onRetry={() => void budgets.refetch()} />}
      {budgets.isPending && <SkeletonRows rows={6} height={52} />}
      {budgets.data && shown.length === 0 && (
        <Empty title={t.budgets.noneFiltered} action={<Button onClick={() => set({ q: "", show: "" })}>{t.keys.clear}</Button>} />
      )}
      {shown.length > 0 && <BudgetTable budgets={shown} onTask={onTask} />}
      {budgets.data && (
        <div className="pf">
          <span className="num nowrap">{t.users.count(format.count(shown.length))}</span>
          <span className="push">{budgets.data.isCut ? t.budgets.cut(format.count(budgets.data.items.length)) : t.budgets.readOnlyText}</span>
        </div>
      )}
    </section>
  );
}

"use client";

import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { FailedNote } from "@/components/ui/failed-note";
import { Meter } from "@/components/ui/meter";
import { Failure, SkeletonRows } from "@/components/ui/states";
import { ruleText, utcPeriod } from "@/features/budgets/budget-figures";
import { KeyFields } from "@/features/keys/key-fields";
import { budgetChanges, changeOf, fieldsOf, keyShape } from "@/features/keys/key-form";
import type { ApiKey } from "@/features/keys/key-state";
import { useKeyBudgets, useKeyChanges } from "@/features/keys/use-keys";
import type { Schemas } from "@/lib/api";
import { useForm } from "@/lib/form";
import { useFormat, useMessages } from "@/lib/language";

const FORM = "edit-key";

interface EditDialogProps {
  apiKey: ApiKey;
  onClose(): void;
}

/** Changes a key. The fields wait for its budgets, so that no budget is mistaken for none. */
export function EditDialog({ apiKey, onClose }: EditDialogProps) {
  const t = useMessages();
  const budgets = useKeyBudgets(apiKey);
  if (budgets.data) return <EditForm apiKey={apiKey} budgets={budgets.data} onClose={onClose} />;
  return (
    <Dialog title={t.keys.editTitle(apiKey.label)} onClose={onClose}>
      {budgets.isError ? <Failure error={budgets.error} onRetry={() => void budgets.refetch()} /> : <SkeletonRows rows={6} height={52} />}
    </Dialog>
  );
}

function EditForm({ apiKey, budgets, onClose }: EditDialogProps & { budgets: readonly Schemas["Budget"][] }) {
  const t = useMessages();
  const { edit, budget } = useKeyChanges();
  const own = budgets.filter(({ dimension }) => dimension === "key");
  const currency = own.find(({ money }) => money)?.money?.split(" ")[1] ?? "USD";
  const initial = fieldsOf(apiKey, budgets);
  const form = useForm(keyShape(t, initial), initial, async (fields) => {
    try {
      const change = changeOf(initial, fields);
      if (Object.keys(change).length > 0) await edit.mutateAsync({ id: apiKey.id, change });
      await budget.mutateAsync({ id: apiKey.id, changes: budgetChanges(initial, fields, currency) });
      onClose();
    } catch {
      // The reason is shown above the fields.
    }
  });
  const error = edit.error ?? budget.error;
  const footer = (
    <>
      <Button onClick={onClose}>{t.keys.cancel}</Button>
      <Button look="primary" type="submit" form={FORM} disabled={form.busy}>
        {t.keys.save}
      </Button>
    </>
  );
  return (
    <Dialog title={t.keys.editTitle(apiKey.label)} description={t.keys.editText} onClose={onClose} footer={footer}>
      <FailedNote title={t.keys.failed} error={error} />
      <form id={FORM} className="stack" onSubmit={form.submit} noValidate>
        <KeyFields form={form} apiKey={apiKey} currency={currency} />
        {own.length > 0 && <BudgetUse budgets={own} />}
      </form>
    </Dialog>
  );
}

/** How much of the key's budgets is used. */
function BudgetUse({ budgets }: { budgets: readonly Schemas["Budget"][] }) {
  const t = useMessages();
  const format = useFormat();
  const read = (amount: Schemas["BudgetAmount"]): [number, string] => {
    return typeof amount === "number" ? [amount, format.count(amount)] : [amount.amount_nano, format.total(amount)];
  };
  return (
    <ul className="grid gap-2.5">
      {budgets.map((budget) => {
        const { used, remaining, money, tokens, source } = budget;
        const per = utcPeriod(budget.per);
        if (used === null || used === undefined || remaining === null || remaining === undefined) return null;
        const [[spent, text], [rest]] = [read(used), read(remaining)];
        const words = money ? t.keys.budgetUse.money : tokens === null || tokens === undefined ? t.keys.budgetUse.credits : t.keys.budgetUse.tokens;
        const name = per ? words[per] : ruleText(budget, t);
        return (
          <li key={`${name}${source}`} className="hint row justify-between num">
            <span>{t.keys.budgetUsed(name, text)}</span>
            <Meter size="mini" label={name} share={spent / Math.max(1, spent + rest)} />
          </li>
        );
      })}
    </ul>
  );
}

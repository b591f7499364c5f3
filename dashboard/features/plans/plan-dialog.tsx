"use client";

import { useState } from "react";

import { Field } from "@/components/ui/field";
import { FormDialog } from "@/components/ui/form-dialog";
import { SelectField } from "@/components/ui/select-field";
import { BUDGET_FIELDS, changedLimits, fieldOf, initialPlan, keptBudgets, planShape } from "@/features/plans/plan-form";
import { type Plan, usePlanChanges } from "@/features/plans/use-plans";
import { useForm } from "@/lib/form";
import { useMessages } from "@/lib/language";

/** Creates a plan, or changes the limits of `plan` for all of its users. */
export function PlanDialog({ plan, onClose }: { plan: Plan | undefined; onClose(): void }) {
  const t = useMessages();
  const { create, change } = usePlanChanges();
  // The list may be read again while the dialog is open.
  const [opened] = useState(plan);
  const [shape, initial] = [planShape(t, keptBudgets(opened)), initialPlan(opened)];
  const form = useForm(shape, initial, async ({ name, limits }) => {
    const body = changedLimits(shape.safeParse(initial).data?.limits, limits);
    if (opened && Object.keys(body).length === 0) return onClose();
    const sent = opened ? change.mutateAsync({ name, body }) : create.mutateAsync({ name, ...limits });
    await sent.then(onClose, () => undefined);
  });
  return (
    <FormDialog
      title={plan ? t.plans.editTitle(plan.name) : t.plans.create}
      text={plan ? t.plans.editText : t.plans.createText}
      action={plan ? t.plans.save : t.plans.create}
      isBusy={form.busy}
      error={create.error ?? change.error}
      onSubmit={form.submit}
      onClose={onClose}
    >
      {!plan && <Field label={t.plans.name} hint={t.plans.nameHint} className="mono" autoComplete="off" autoFocus {...form.field("name")} />}
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label={t.plans.quota} hint={t.plans.quotaHint} inputMode="numeric" placeholder={t.keys.noLimit} {...form.field("quota")} />
        <Field label={t.plans.rate} hint={t.plans.rateHint} inputMode="numeric" placeholder={t.keys.noLimit} {...form.field("rate")} />
      </div>
      <fieldset className="grid gap-3">
        <legend className="mb-1 text-[0.8125rem] font-medium">{t.plans.budgetsOfEach}</legend>
        <div className="grid gap-4 sm:grid-cols-2">
          {BUDGET_FIELDS.map(([measure, per]) => (
            <Field
              key={fieldOf(measure, per)}
              label={t.budgets.per[per](t.budgets.measures[measure])}
              inputMode={measure === "money" ? "decimal" : "numeric"}
              placeholder={t.keys.noLimit}
              {...(measure === "money" && { suffix: "USD" })}
              {...form.field(fieldOf(measure, per))}
            />
          ))}
        </div>
      </fieldset>
      <SelectField label={t.plans.shared} hint={t.plans.sharedHint} options={[["yes", t.plans.sharedYes], ["no", t.plans.sharedNo]]} {...form.field("shared")} />
    </FormDialog>
  );
}

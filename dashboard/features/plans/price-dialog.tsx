"use client";

import Link from "next/link";
import { useState } from "react";

import { FailedNote } from "@/components/ui/failed-note";
import { Field } from "@/components/ui/field";
import { FieldFrame } from "@/components/ui/field-frame";
import { FormDialog } from "@/components/ui/form-dialog";
import { Note } from "@/components/ui/note";
import { SelectField } from "@/components/ui/select-field";
import { Failure, SkeletonRows } from "@/components/ui/states";
import { ChangesTable } from "@/features/configuration/changes-table";
import { ProblemList } from "@/features/configuration/problem-list";
import { problemsOf } from "@/features/configuration/problems";
import { type Configuration, useConfiguration, useConfigurationChanges } from "@/features/configuration/use-configuration";
import { InvoicePreview } from "@/features/plans/invoice-preview";
import { withPrice } from "@/features/plans/plan-text";
import { CURRENCIES, type PriceFields, initialCharges, initialPrice, priceShape, priceText } from "@/features/plans/price-form";
import type { Plan } from "@/features/plans/use-plans";
import { useForm } from "@/lib/form";
import { useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";
import { useSite } from "@/lib/queries";

interface PriceDialogProps {
  plan: Plan;
  /** All plans of the store, which a configuration without a list of plans gets. */
  plans: readonly Plan[];
  onClose(): void;
}

/** Sets the price of a plan: the configuration is checked with it, shown, and then applied. */
export function PriceDialog(props: PriceDialogProps) {
  const t = useMessages();
  const running = useConfiguration();
  if (running.data) return <PriceForm {...props} running={running.data} />;
  return (
    <FormDialog title={t.plans.priceTitle(props.plan.name)} action={t.plans.checkPrice} isBusy error={undefined} onSubmit={(event) => event.preventDefault()} onClose={props.onClose}>
      {running.isError ? <Failure error={running.error} onRetry={() => void running.refetch()} /> : <SkeletonRows rows={4} />}
    </FormDialog>
  );
}

/** A configuration with the price, which was checked. */
interface Checked {
  yaml: string;
  digest: string;
  fields: PriceFields;
}

function PriceForm({ plan, plans, running, onClose }: PriceDialogProps & { running: Configuration }) {
  const t = useMessages();
  const now = useNow();
  const site = useSite().data;
  const { validate, apply } = useConfigurationChanges();
  const [opened] = useState(plan);
  const [charges, setCharges] = useState(() => initialCharges(opened));
  const [checked, setChecked] = useState<Checked>();
  const [problem, setProblem] = useState<"charges" | "form">();
  const form = useForm(priceShape(t), initialPrice(opened), async (fields) => {
    if (checked) return apply.mutateAsync({ value: checked.yaml, digest: checked.digest }).then(onClose, () => setChecked(undefined));
    const keys = priceText(fields, charges);
    const yaml = keys && withPrice(running.yaml, opened.name, keys.text, plans);
    setProblem(!keys ? "charges" : yaml === undefined ? "form" : undefined);
    apply.reset();
    if (yaml === undefined) return;
    await validate.mutateAsync(yaml).then(() => setChecked({ yaml, digest: running.digest, fields }), () => undefined);
  });
  const field = (name: string) => {
    const { onChange, ...rest } = form.field(name);
    return { ...rest, onChange: (event: Parameters<typeof onChange>[0]) => { setChecked(undefined); onChange(event); } };
  };
  const refused = apply.error ?? (checked ? null : validate.error);
  const problems = problemsOf(refused);
  const isMasked = running.yaml.includes("***");
  const sold = checked?.fields.price;
  return (
    <FormDialog
      title={t.plans.priceTitle(opened.name)}
      text={t.plans.priceText}
      action={checked ? t.plans.applyPrice : t.plans.checkPrice}
      isBusy={form.busy || isMasked}
      error={problems.length > 0 ? undefined : refused}
      onSubmit={form.submit}
      onClose={onClose}
    >
      {isMasked && <Note tone="warn" title={t.plans.priceMasked} />}
      {site && !site.billing && <Note title={t.plans.billingOff}>{t.plans.billingOffText}</Note>}
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label={t.plans.price} hint={t.plans.priceHint} inputMode="decimal" placeholder={t.plans.notForSale} autoFocus {...field("amount")} />
        <SelectField label={t.plans.currency} options={CURRENCIES.map((name) => [name, name] as const)} {...field("currency")} />
        <SelectField label={t.plans.interval} options={[["month", t.plans.intervals.month], ["year", t.plans.intervals.year]]} {...field("interval")} />
        <Field label={t.plans.trialDays} hint={t.plans.trialHint} inputMode="numeric" placeholder={t.plans.noTrial} {...field("trial")} />
      </div>
      <FieldFrame label={t.plans.charges} hint={t.plans.chargesHint} error={problem === "charges" ? t.plans.chargesWrong : undefined}>
        {(described) => <textarea className="in mono" rows={3} spellCheck={false} autoComplete="off" {...described} value={charges} onChange={(event) => { setChecked(undefined); setCharges(event.target.value); }} />}
      </FieldFrame>
      {problem === "form" && <Note tone="warn" title={t.plans.formUnknown}><Link className="link" href="/dashboard/configuration?view=edit">{t.plans.openConfiguration}</Link></Note>}
      {problems.length > 0 && <ProblemList problems={problems} onGoTo={() => undefined} />}
      {apply.error && problems.length === 0 && <FailedNote title={t.configuration.notApplied} error={apply.error} />}
      {checked && validate.data && (
        <>
          {validate.data.changes.length === 0 ? <Note title={t.configuration.noChanges} /> : <ChangesTable changes={validate.data} />}
          {sold && <InvoicePreview plan={opened.name} amount={sold.amount} currency={sold.currency} interval={sold.interval} settings={running.settings} now={now} />}
        </>
      )}
    </FormDialog>
  );
}

"use client";

import Link from "next/link";

import { Button, buttonClass } from "@/components/ui/button";
import { FailedNote } from "@/components/ui/failed-note";
import { Field } from "@/components/ui/field";
import { Note } from "@/components/ui/note";
import { SelectField } from "@/components/ui/select-field";
import { ProblemList } from "@/features/configuration/problem-list";
import { problemsOf } from "@/features/configuration/problems";
import { type Configuration, useConfiguration, useConfigurationChanges } from "@/features/configuration/use-configuration";
import { BILLING_SHAPE, type BillingField, initialBilling, keysOf, previewOf } from "@/features/plans/billing-form";
import { type BillingKeys, billingValue, withBilling } from "@/features/plans/billing-text";
import { usePlans } from "@/features/plans/use-plans";
import { apiAddress } from "@/lib/api";
import { useForm } from "@/lib/form";
import { useLocale, useMessages } from "@/lib/language";
import { useSite } from "@/lib/queries";

/** The seller, the tax and the times of invoices: the settings that turn billing on, and apply without a restart. */
export function SellerPanel() {
  const site = useSite().data;
  const running = useConfiguration();
  if (!site || !running.data) return null;
  return <SellerForm key={running.data.digest} running={running.data} isOn={site.billing} />;
}

function SellerForm({ running, isOn }: { running: Configuration; isOn: boolean }) {
  const t = useMessages();
  const language = useLocale();
  const plans = usePlans().data ?? [];
  const { apply } = useConfigurationChanges();
  const { settings } = running;
  const hasAccount = settings.some(({ key, value }) => key === "midtrans.server_key" && value !== null && value !== "");
  const write = (keys: BillingKeys): string | undefined => withBilling(running.yaml, settings, keys);
  const save = (keys: BillingKeys): Promise<void> => {
    const yaml = write(keys);
    return yaml === undefined ? Promise.resolve() : apply.mutateAsync({ value: yaml, digest: running.digest }).then(() => undefined, () => undefined);
  };
  const initial = initialBilling(settings);
  const form = useForm(BILLING_SHAPE, initial, (fields) => save({ ...keysOf(fields), enabled: true, stub: hasAccount ? undefined : true }));
  const text = (name: BillingField, hint?: string) => <Field label={t.plans.billing[name]} hint={hint} maxLength={200} autoComplete="off" {...form.field(name)} />;
  const isChangeable = write({}) !== undefined && !running.yaml.includes("***") && running.etcd === null;
  const problems = problemsOf(apply.error);
  const preview = (kind: "html" | "pdf"): string => {
    const typed = Object.fromEntries(Object.keys(initial).map((name) => [name, form.field(name as BillingField).value.trim()]));
    const query = new URLSearchParams({ billing: previewOf(typed as typeof initial), language });
    return apiAddress(`/api/billing/preview/${kind}?${query.toString()}`);
  };
  return (
    <form className="stack max-w-[720px]" onSubmit={form.submit} noValidate>
      <p className="t2 md m-0">{isOn ? t.plans.sellerText : t.plans.turnOnText}</p>
      {!hasAccount && <Note title={t.plans.stubTitle}>{t.plans.stubText}</Note>}
      {isOn && hasAccount && billingValue(settings, "stub") === true && <Note tone="warn" title={t.plans.stubTitle} />}
      {!isChangeable && <Note tone="warn" title={t.plans.billingUnknown}><Link className="link" href="/dashboard/configuration?view=edit">{t.plans.openConfiguration}</Link></Note>}
      <div className="grid gap-4 sm:grid-cols-2">
        {text("name")}
        {text("email")}
        {text("address")}
        {text("taxNumber")}
      </div>
      <details className="more">
        <summary>{t.plans.billingMore}</summary>
        <div className="grid gap-4 pt-4 sm:grid-cols-2">
          {text("taxName", t.plans.taxHint)}
          {text("taxRate", "12%")}
          {text("taxBase", "11/12")}
          {text("taxFrom", "2026-12-31")}
          {text("number", "INV-{year}-{seq:6}")}
          {text("timezone", "Asia/Jakarta")}
          <SelectField label={t.plans.billing.review} options={[["none", t.plans.reviews.none], ["finance", t.plans.reviews.finance], ["signoff", t.plans.reviews.signoff]]} {...form.field("review")} />
          <SelectField label={t.plans.billing.fallbackPlan} options={plans.map(({ name }) => [name, name] as const)} {...form.field("fallbackPlan")} />
          {text("due", "7d")}
          {text("grace", "7d")}
          {text("final", "30d")}
        </div>
      </details>
      {problems.length > 0 && <ProblemList problems={problems} onGoTo={() => undefined} />}
      {apply.error && problems.length === 0 && <FailedNote title={t.configuration.notApplied} error={apply.error} />}
      <div className="row wrap">
        <Button look="primary" type="submit" disabled={form.busy || !isChangeable}>{isOn ? t.plans.saveSeller : t.plans.turnOn}</Button>
        <a className={buttonClass({})} href={preview("html")} target="_blank" rel="noopener noreferrer">{t.plans.previewInvoice}</a>
        <a className={buttonClass({})} href={preview("pdf")} target="_blank" rel="noopener noreferrer">{t.plans.previewPdf}</a>
        {isOn && <Button className="push" disabled={apply.isPending || !isChangeable} onClick={() => void save({ enabled: false })}>{t.plans.turnOff}</Button>}
      </div>
    </form>
  );
}

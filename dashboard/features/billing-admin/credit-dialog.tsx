"use client";

import { useState } from "react";
import { z } from "zod";

import { Field } from "@/components/ui/field";
import { FormDialog } from "@/components/ui/form-dialog";
import { SelectField } from "@/components/ui/select-field";
import type { Invoice } from "@/features/billing/use-billing";
import { nanoOf } from "@/features/budgets/budget-figures";
import { useInvoiceActions } from "@/features/billing-admin/use-billing-admin";
import { useForm } from "@/lib/form";
import { useFormat, useMessages } from "@/lib/language";
import type { Messages } from "@/messages/en";

/** Reads the form of a credit note: whole rupiah, or dollars as billionths. An empty amount takes the whole line back. */
export function creditShape(t: Messages, currency: string) {
  const isDollars = currency === "USD";
  // In billionths, a number holds nine million dollars exactly.
  const pattern = isDollars ? /^([1-8]?\d{1,6}(\.\d{1,9})?)?$/ : /^([1-9]\d{0,14})?$/;
  const unitsOf = isDollars ? nanoOf : Number;
  const wrong = isDollars ? t.billingAdmin.dollarsWrong : t.billing.amountWrong;
  return z.object({
    no: z.string().transform(Number),
    amount: z.string().trim().regex(pattern, wrong).transform((text) => (text === "" ? null : unitsOf(text))).refine((amount) => amount !== 0, wrong),
    reason: z.string().trim().min(1, t.billingAdmin.reasonWrong).max(200, t.billingAdmin.reasonWrong),
  });
}

/** Takes a line of an invoice back, or a part of it. */
export function CreditDialog({ invoice, onClose }: { invoice: Invoice; onClose(): void }) {
  const t = useMessages();
  const format = useFormat();
  const { credit } = useInvoiceActions(invoice.id);
  const lines = (invoice.lines ?? []).filter(({ amount }) => amount.amount > 0);
  const initial = { no: String(lines[0]?.no ?? 1), amount: "", reason: "" };
  // A second attempt, after a response that was lost, must not credit twice.
  const [credited] = useState(() => (invoice.credit_notes ?? []).reduce((sum, { total }) => sum + total.amount, 0));
  const form = useForm(creditShape(t, invoice.currency), initial, (values) => credit.mutateAsync({ ...values, credited }).then(onClose, () => undefined));
  return (
    <FormDialog title={t.billingAdmin.tasks.credit} text={t.billingAdmin.creditText} action={t.billingAdmin.tasks.credit} isBusy={form.busy} error={credit.error} onSubmit={form.submit} onClose={onClose}>
      <SelectField label={t.invoices.line} options={lines.map((line) => [String(line.no), `${line.text}: ${format.bill(line.amount)}`] as const)} {...form.field("no")} />
      <Field label={t.billing.amount} hint={t.billingAdmin.creditHint} inputMode="decimal" autoComplete="off" suffix={invoice.currency} {...form.field("amount")} />
      <Field label={t.billingAdmin.reason} hint={t.billingAdmin.reasonHint} maxLength={200} {...form.field("reason")} />
    </FormDialog>
  );
}

"use client";

import { useState } from "react";
import { z } from "zod";

import { Field } from "@/components/ui/field";
import { FormDialog } from "@/components/ui/form-dialog";
import { SelectField } from "@/components/ui/select-field";
import type { Invoice } from "@/features/billing/use-billing";
import { useInvoiceActions } from "@/features/billing-admin/use-billing-admin";
import { useForm } from "@/lib/form";
import { useMessages } from "@/lib/language";
import type { Messages } from "@/messages/en";

/** Reads the form of a refund. A transfer by hand needs its reference. */
export function refundShape(t: Messages) {
  return z
    .object({
      amount: z.string().trim().regex(/^[1-9]\d{0,14}$/, t.billing.amountWrong).transform(Number),
      reason: z.string().trim().min(1, t.billingAdmin.reasonWrong).max(200, t.billingAdmin.reasonWrong),
      by: z.string(),
      reference: z.string().trim().max(200, t.billingAdmin.reasonWrong),
    })
    .refine(({ by, reference }) => by !== "hand" || reference !== "", { path: ["reference"], error: t.billingAdmin.referenceWrong });
}

/** Returns money from the wallet of the customer to the method of the payment, or records a transfer. */
export function RefundDialog({ invoice, onClose }: { invoice: Invoice; onClose(): void }) {
  const t = useMessages();
  const { refund } = useInvoiceActions(invoice.id);
  // A second attempt, after a response that was lost, must not refund twice.
  const [refunded] = useState(() => (invoice.payments ?? []).reduce((sum, payment) => sum + payment.refunded.amount, 0));
  const form = useForm(refundShape(t), { amount: "", reason: "", by: "midtrans", reference: "" }, (values) => refund.mutateAsync({ ...values, refunded }).then(onClose, () => undefined));
  return (
    <FormDialog title={t.billingAdmin.tasks.refund} text={t.billingAdmin.refundText} action={t.billingAdmin.tasks.refund} isBusy={form.busy} error={refund.error} onSubmit={form.submit} onClose={onClose}>
      <Field label={t.billing.amount} hint={t.billing.amountHint} inputMode="numeric" autoComplete="off" suffix="IDR" {...form.field("amount")} />
      <Field label={t.billingAdmin.reason} hint={t.billingAdmin.reasonHint} maxLength={200} {...form.field("reason")} />
      <SelectField label={t.billingAdmin.by} hint={t.billingAdmin.byHint} options={[["midtrans", t.billingAdmin.byMidtrans], ["hand", t.billingAdmin.byHand]]} {...form.field("by")} />
      <Field label={t.billingAdmin.reference} hint={t.billingAdmin.referenceHint} maxLength={200} autoComplete="off" {...form.field("reference")} />
    </FormDialog>
  );
}

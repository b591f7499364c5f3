"use client";

import { useRouter } from "next/navigation";
import { z } from "zod";

import { Field } from "@/components/ui/field";
import { FormDialog } from "@/components/ui/form-dialog";
import { useForm } from "@/lib/form";
import { useMessages } from "@/lib/language";

/** Asks for an amount. The method is chosen on the page of the payment. */
export function TopUpDialog({ onClose }: { onClose(): void }) {
  const t = useMessages();
  const router = useRouter();
  const shape = z.object({ amount: z.string().trim().regex(/^[1-9]\d{0,11}$/, t.billing.amountWrong) });
  const form = useForm(shape, { amount: "" }, async ({ amount }) => router.push(`/dashboard/pay?topup=${amount}`));
  return (
    <FormDialog title={t.billing.topUp} text={t.billing.topUpText} action={t.billing.chooseMethod} isBusy={form.busy} error={undefined} onSubmit={form.submit} onClose={onClose}>
      <Field label={t.billing.amount} hint={t.billing.amountHint} inputMode="numeric" autoComplete="off" autoFocus suffix="IDR" {...form.field("amount")} />
    </FormDialog>
  );
}

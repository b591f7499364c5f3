"use client";

import { z } from "zod";

import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { Field } from "@/components/ui/field";
import { Note } from "@/components/ui/note";
import { useKeyChanges } from "@/features/keys/use-keys";
import type { Schemas } from "@/lib/api";
import { useForm } from "@/lib/form";
import { useFormat, useMessages } from "@/lib/language";
import { useOverview } from "@/lib/queries";
import type { Messages } from "@/messages/en";

const LABEL_MAX = 200;

function list(text: string): string[] | undefined {
  const items = text.split(/[\s,]+/).filter((item) => item !== "");
  return items.length > 0 ? items : undefined;
}

/** The fields of the form as a request; empty fields are left out. */
export function newKeyShape(t: Messages): z.ZodType<Schemas["NewApiKey"], Record<string, string>> {
  const whole = z.string().trim().regex(/^([1-9]\d{0,8})?$/, t.keys.wholeNumber);
  return z
    .object({
      label: z.string().trim().min(1, t.keys.labelMissing).max(LABEL_MAX, t.keys.labelLong),
      // A date without a time: the key lasts until the end of that day in the reader's zone.
      expires: z.string().refine((day) => day === "" || new Date(`${day}T23:59:59`) > new Date(), t.keys.expiryPast),
      credits: whole,
      rate: whole,
      models: z.string(),
      addresses: z.string(),
    })
    .transform((fields): Schemas["NewApiKey"] => {
      const { credits, rate } = fields;
      const [models, addresses] = [list(fields.models), list(fields.addresses)];
      const limits = { ...(credits && { credits_per_day: Number(credits) }), ...(rate && { requests_per_minute: Number(rate) }) };
      return {
        label: fields.label,
        ...(fields.expires && { expires_at: new Date(`${fields.expires}T23:59:59`).toISOString() }),
        ...(Object.keys(limits).length > 0 && { limits }),
        ...(models && { scopes: { models } }),
        ...(addresses && { addresses }),
      };
    });
}

interface CreateDialogProps {
  onClose(): void;
  onCreated(key: Schemas["ApiKeyWithSecret"]): void;
}

export function CreateDialog({ onClose, onCreated }: CreateDialogProps) {
  const t = useMessages();
  const format = useFormat();
  const { create } = useKeyChanges();
  const quota = useOverview().data?.plan.credits_per_day;
  const initial = { label: "", expires: "", credits: "", rate: "", models: "", addresses: "" };
  const form = useForm(newKeyShape(t), initial, async (body) => {
    await create.mutateAsync(body).then(onCreated, () => undefined);
  });
  const footer = (
    <>
      <Button onClick={onClose}>{t.keys.cancel}</Button>
      <Button look="primary" type="submit" form="create-key" disabled={form.busy}>
        {t.keys.create}
      </Button>
    </>
  );
  return (
    <Dialog title={t.keys.createTitle} description={t.keys.createText} onClose={onClose} footer={footer}>
      {create.error && <Note tone="bad" title={t.keys.refused}>{create.error.message}</Note>}
      <form id="create-key" className="stack" onSubmit={form.submit} noValidate>
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label={t.keys.label} hint={t.keys.labelHint} autoComplete="off" autoFocus {...form.field("label")} />
          <Field label={t.keys.expiry} hint={t.keys.expiryHint} type="date" {...form.field("expires")} />
          <Field
            label={t.keys.credits}
            hint={quota ? t.keys.creditsOf(format.count(quota)) : undefined}
            inputMode="numeric"
            placeholder={t.keys.noLimit}
            {...form.field("credits")}
          />
          <Field label={t.keys.rate} inputMode="numeric" placeholder={t.keys.noLimit} {...form.field("rate")} />
        </div>
        <Field label={t.keys.modelsField} hint={t.keys.modelsHint} placeholder={t.keys.noLimit} className="mono" {...form.field("models")} />
        <Field label={t.keys.addresses} hint={t.keys.addressesHint} placeholder={t.keys.noLimit} className="mono" {...form.field("addresses")} />
      </form>
    </Dialog>
  );
}

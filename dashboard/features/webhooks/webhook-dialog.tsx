"use client";

import { useState } from "react";
import { z } from "zod";

import { Field } from "@/components/ui/field";
import { FormDialog } from "@/components/ui/form-dialog";
import { type Webhook, useWebhookActions } from "@/features/webhooks/use-webhooks";
import { EVENTS, GROUPS, chosen, isIncluded } from "@/features/webhooks/webhook-words";
import { useForm } from "@/lib/form";
import { useMessages } from "@/lib/language";
import type { Messages } from "@/messages/en";

const ALL = "*";

/** Reads the form of a webhook. The server checks the address. */
export function webhookShape(t: Messages) {
  return z.object({ url: z.string().trim().regex(/^https?:\/\/\S+$/, t.webhooks.urlWrong).max(2048, t.webhooks.urlWrong) });
}

interface WebhookDialogProps {
  /** The webhook to change; a new one without it. */
  webhook: Webhook | undefined;
  onClose(): void;
  onCreated?(created: Webhook): void;
}

/** Adds a webhook, or changes its URL and events. */
export function WebhookDialog({ webhook, onClose, onCreated }: WebhookDialogProps) {
  const t = useMessages();
  const { create, change } = useWebhookActions();
  const [events, setEvents] = useState<string[]>(webhook?.events ?? [ALL]);
  const [isTold, setIsTold] = useState(false);
  const form = useForm(webhookShape(t), { url: webhook?.url ?? "" }, async ({ url }) => {
    setIsTold(true);
    if (events.length === 0) return;
    if (webhook) await change.mutateAsync({ id: webhook.id, url, events }).then(onClose, () => undefined);
    else await create.mutateAsync({ url, events }).then(onCreated, () => undefined);
  });
  const choice = (name: string, label: string) => {
    const isContained = isIncluded(events, name);
    return (
      <label key={name} className="chk">
        <input type="checkbox" checked={isContained || events.includes(name)} disabled={isContained} onChange={(event) => setEvents(chosen(events, name, event.target.checked))} />
        {label}
      </label>
    );
  };
  const title = webhook ? t.webhooks.edit : t.webhooks.add;
  return (
    <FormDialog title={title} text={t.webhooks.addText} action={webhook ? t.webhooks.save : t.webhooks.add} isBusy={form.busy} error={create.error ?? change.error} onSubmit={form.submit} onClose={onClose}>
      <Field label={t.webhooks.url} hint={t.webhooks.urlHint} type="url" inputMode="url" autoComplete="off" autoFocus maxLength={2048} {...form.field("url")} />
      <fieldset className="grid gap-2.5">
        <legend className="mb-1 text-[0.8125rem] font-medium">{t.webhooks.events}</legend>
        {choice(ALL, t.webhooks.all)}
        {GROUPS.map((group) => choice(`${group}.*`, t.webhooks.groups[group]))}
        <details>
          <summary className="link">{t.webhooks.single}</summary>
          <div className="mt-2 grid gap-2.5 sm:grid-cols-2">{GROUPS.flatMap((group) => EVENTS[group].map((name) => choice(name, name)))}</div>
        </details>
        {isTold && events.length === 0 && <span className="hint bad" role="alert">{t.webhooks.eventsWrong}</span>}
      </fieldset>
    </FormDialog>
  );
}

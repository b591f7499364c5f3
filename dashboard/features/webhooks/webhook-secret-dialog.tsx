"use client";

import { useState } from "react";

import { Button } from "@/components/ui/button";
import { CopyButton } from "@/components/ui/copy-button";
import { Dialog } from "@/components/ui/dialog";
import type { Webhook } from "@/features/webhooks/use-webhooks";
import { useFormat, useMessages } from "@/lib/language";

/** Shows a secret once. Only the button closes the dialog, after the reader has confirmed that the secret is stored. */
export function WebhookSecretDialog({ webhook, onDone }: { webhook: Webhook; onDone(): void }) {
  const t = useMessages();
  const format = useFormat();
  const [isStored, setIsStored] = useState(false);
  const text = webhook.previous_until ? t.webhooks.rotatedText(format.moment(webhook.previous_until)) : t.webhooks.secretText;
  const footer = (
    <>
      <label className="chk mr-auto">
        <input type="checkbox" checked={isStored} onChange={(event) => setIsStored(event.target.checked)} />
        {t.webhooks.stored}
      </label>
      <Button look="primary" disabled={!isStored} onClick={onDone}>{t.keys.done}</Button>
    </>
  );
  return (
    <Dialog title={t.webhooks.secretTitle} description={text} footer={footer}>
      <div className="secret">
        <code data-testid="secret">{webhook.secret}</code>
        <CopyButton text={webhook.secret ?? ""} what={t.webhooks.secret} look="primary" withWord />
      </div>
    </Dialog>
  );
}

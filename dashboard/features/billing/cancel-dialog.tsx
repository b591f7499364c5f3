"use client";

import { useState } from "react";

import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { type Subscription, useSubscriptionChanges } from "@/features/billing/use-billing";
import { useFormat, useMessages } from "@/lib/language";

/** Asks when a subscription ends. */
export function CancelDialog({ subscription, onClose }: { subscription: Subscription; onClose(): void }) {
  const t = useMessages();
  const format = useFormat();
  const { cancel } = useSubscriptionChanges();
  const [chosen, setChosen] = useState<"end" | "now">("end");
  // Before its first payment, a subscription can only be cancelled now.
  const isPending = subscription.state === "pending";
  const at = isPending ? "now" : chosen;
  const choices = [["end", t.billing.cancelEnd(format.utcFull(subscription.period.last_day)), t.billing.cancelEndText], ["now", t.billing.cancelNow, t.billing.cancelNowText]] as const;
  return (
    <ConfirmDialog
      title={t.billing.cancelTitle(subscription.plan)}
      text={isPending ? t.billing.cancelPendingText : t.billing.cancelText}
      action={t.billing.cancel}
      isBusy={cancel.isPending}
      error={cancel.error}
      onConfirm={() => cancel.mutate(at, { onSuccess: onClose })}
      onClose={onClose}
    >
      {!isPending && (
        <fieldset className="grid gap-3">
          <legend className="vh">{t.billing.cancelText}</legend>
          {choices.map(([name, label, text]) => (
            <label key={name} className="chk">
              <input type="radio" name="at" value={name} checked={at === name} onChange={() => setChosen(name)} />
              <span>
                {label}
                <span className="sub">{text}</span>
              </span>
            </label>
          ))}
        </fieldset>
      )}
    </ConfirmDialog>
  );
}

"use client";

import { type ReactNode, useState } from "react";

import { Button } from "@/components/ui/button";
import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { Drawer } from "@/components/ui/drawer";
import { Facts } from "@/components/ui/facts";
import { FailedNote } from "@/components/ui/failed-note";
import { Note } from "@/components/ui/note";
import { Failure, SkeletonRows } from "@/components/ui/states";
import { StateTag } from "@/features/billing/state-tag";
import { Deliveries } from "@/features/webhooks/deliveries";
import { type Webhook, useTestEvent, useWebhookActions, useWebhooks } from "@/features/webhooks/use-webhooks";
import { WebhookDialog } from "@/features/webhooks/webhook-dialog";
import { webhookState } from "@/features/webhooks/webhook-words";
import { useFormat, useMessages } from "@/lib/language";

interface WebhookDrawerProps {
  id: string;
  /** Shows a webhook with its new secret. */
  onSecret(webhook: Webhook): void;
  onClose(): void;
}

/** A webhook, what can be done with it, and its deliveries. */
export function WebhookDrawer({ id, onSecret, onClose }: WebhookDrawerProps) {
  const t = useMessages();
  const list = useWebhooks();
  const webhook = list.data?.find((of) => of.id === id);
  const title = webhook ? (
    <>
      <span className="trunc">{hostOf(webhook.url)}</span>
      <StateTag of={webhookState(webhook, t)} />
    </>
  ) : t.webhooks.webhook;
  return (
    <Drawer title={title} sub={webhook?.url} onClose={onClose}>
      {list.isPending && <SkeletonRows rows={8} />}
      {list.isError && !list.data && <Failure error={list.error} onRetry={() => void list.refetch()} />}
      {list.data && !webhook && <section><Note title={t.webhooks.missing} /></section>}
      {webhook && <Content webhook={webhook} onSecret={onSecret} onClose={onClose} />}
    </Drawer>
  );
}

function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : url;
}

/** Sends a test event. Its delivery appears in the list, with the response as soon as it arrives. */
function TestButton({ id }: { id: string }) {
  const t = useMessages();
  const sent = useTestEvent(id);
  return (
    <>
      <Button disabled={sent.isPending} onClick={() => sent.mutate()}>{t.webhooks.sendTest}</Button>
      {sent.isSuccess && <span className="hint" role="status">{t.webhooks.testSent}</span>}
      <FailedNote error={sent.error} />
    </>
  );
}

type Task = "edit" | "disable" | "rotate" | "delete";

function Content({ webhook, onSecret, onClose }: { webhook: Webhook; onSecret(webhook: Webhook): void; onClose(): void }) {
  const t = useMessages();
  const format = useFormat();
  const { change, rotate, remove } = useWebhookActions();
  const [asked, setAsked] = useState<Task>();
  const { id, enabled } = webhook;
  const close = () => setAsked(undefined);
  const failed = { disable: change.error, rotate: rotate.error, delete: remove.error };
  const ask = (task: Task) => {
    // The error of an earlier task says nothing about this one.
    [change, rotate, remove].forEach((earlier) => earlier.reset());
    setAsked(task);
  };
  const confirm = {
    disable: () => change.mutate({ id, enabled: false }, { onSuccess: close }),
    // A callback of `mutate` would be dropped with the drawer, and the secret is in this response only.
    rotate: () => void rotate.mutateAsync(id).then((rotated) => { close(); onSecret(rotated); }, () => undefined),
    delete: () => remove.mutate(id, { onSuccess: onClose }),
  };
  const facts: [string, ReactNode][] = [
    [t.webhooks.events, <span key="v" className="mono">{webhook.events.join(", ")}</span>],
    [t.webhooks.delivered, webhook.delivered_at && format.moment(webhook.delivered_at)],
    [t.webhooks.disabledAt, webhook.disabled_at && format.moment(webhook.disabled_at)],
    [t.webhooks.previousUntil, webhook.previous_until && format.moment(webhook.previous_until)],
    [t.webhooks.created, format.moment(webhook.created_at)],
  ];
  return (
    <>
      {!enabled && <section><Note tone="warn" title={t.webhooks.disabledTitle}>{t.webhooks.disabledText}</Note></section>}
      {enabled && webhook.failing && (
        <section>
          <Note tone="warn" title={t.webhooks.failingTitle(format.count(webhook.failing.deliveries), webhook.failing.deliveries)}>{t.webhooks.failingText(format.moment(webhook.failing.since))}</Note>
        </section>
      )}
      <section>
        <div className="row wrap">
          {!enabled && <Button look="primary" disabled={change.isPending} onClick={() => change.mutate({ id, enabled: true })}>{t.webhooks.tasks.enable}</Button>}
          {enabled && <TestButton id={id} />}
          <Button onClick={() => ask("edit")}>{t.webhooks.tasks.edit}</Button>
          <Button onClick={() => ask("rotate")}>{t.webhooks.tasks.rotate}</Button>
          {enabled && <Button onClick={() => ask("disable")}>{t.webhooks.tasks.disable}</Button>}
          <Button look="danger" onClick={() => ask("delete")}>{t.webhooks.tasks.delete}</Button>
        </div>
        {!asked && <FailedNote error={change.error} />}
      </section>
      <section>
        <h3>{t.webhooks.details}</h3>
        <Facts facts={facts} />
      </section>
      <Deliveries webhook={webhook} />
      {asked === "edit" && <WebhookDialog webhook={webhook} onClose={close} />}
      {asked && asked !== "edit" && (
        <ConfirmDialog
          title={t.webhooks.tasks[asked]}
          text={t.webhooks.taskTexts[asked]}
          action={t.webhooks.tasks[asked]}
          look={asked === "rotate" ? "primary" : "danger"}
          isBusy={change.isPending || rotate.isPending || remove.isPending}
          error={failed[asked]}
          onConfirm={confirm[asked]}
          onClose={close}
        />
      )}
    </>
  );
}

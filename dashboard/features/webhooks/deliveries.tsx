"use client";

import { useMemo, useState } from "react";

import { Button } from "@/components/ui/button";
import { FailedNote } from "@/components/ui/failed-note";
import { MoreButton } from "@/components/ui/more-button";
import { Failure, SkeletonRows } from "@/components/ui/states";
import { Segments } from "@/components/ui/tabs";
import { StateTag } from "@/features/billing/state-tag";
import { ReplayDialog } from "@/features/webhooks/replay-dialog";
import { type Webhook, type WebhookDelivery, useDeliveries, useReplays } from "@/features/webhooks/use-webhooks";
import { deliveryState } from "@/features/webhooks/webhook-words";
import { useFormat, useMessages } from "@/lib/language";

const STATES = ["", "waiting", "delivered", "failed"] as const;

/** The deliveries of a webhook by state, and their replay. */
export function Deliveries({ webhook }: { webhook: Webhook }) {
  const t = useMessages();
  const [state, setState] = useState("");
  const [isAsking, setIsAsking] = useState(false);
  const list = useDeliveries(webhook.id, STATES.find((name) => name === state) ?? "");
  const { one } = useReplays(webhook.id);
  const deliveries = useMemo(() => (list.data?.pages ?? []).flatMap((page) => page.items), [list.data]);
  return (
    <section aria-labelledby="deliveries">
      <div className="row wrap mb-2">
        <h3 id="deliveries" className="m-0">{t.webhooks.deliveries}</h3>
        {webhook.enabled && <Button size="small" className="push" onClick={() => setIsAsking(true)}>{t.webhooks.replayFailed}</Button>}
      </div>
      <Segments label={t.webhooks.state} value={state} onChange={setState} options={STATES.map((name) => ({ name, label: name === "" ? t.webhooks.anyState : (t.webhooks.states[name] ?? name) }))} />
      <FailedNote error={one.error} />
      {list.isPending && <SkeletonRows rows={4} height={52} />}
      {list.isError && !list.data && <Failure error={list.error} onRetry={() => void list.refetch()} />}
      {list.data && deliveries.length === 0 && <p className="hint mt-2">{state === "" ? t.webhooks.noDeliveries : t.webhooks.noneFiltered}</p>}
      {deliveries.length > 0 && (
        <ul className="list">
          {deliveries.map((delivery) => (
            <Delivery key={delivery.id} delivery={delivery} isBusy={one.isPending} onReplay={webhook.enabled && delivery.state !== "waiting" ? () => one.mutate(delivery.id) : undefined} />
          ))}
        </ul>
      )}
      {list.hasNextPage && <MoreButton list={list}>{t.webhooks.more}</MoreButton>}
      {isAsking && <ReplayDialog id={webhook.id} onClose={() => setIsAsking(false)} />}
    </section>
  );
}

function Delivery({ delivery, isBusy, onReplay }: { delivery: WebhookDelivery; isBusy: boolean; onReplay: (() => void) | undefined }) {
  const t = useMessages();
  const format = useFormat();
  const { event, status, error, attempts, next_at: next } = delivery;
  const result = error ?? (status === null || status === undefined ? undefined : t.webhooks.status(String(status)));
  return (
    <li>
      <div className="body">
        <b className="mono">{event}</b>
        <span>{format.moment(delivery.created_at)} · {t.webhooks.attempts(format.count(attempts), attempts)}</span>
        {result && <span className="wrap-anywhere">{result}</span>}
        {next && <span>{t.webhooks.next(format.moment(next))}</span>}
        <details>
          <summary className="link">{t.webhooks.body}</summary>
          <pre className="max-h-40 overflow-auto text-xs" tabIndex={0} aria-label={`${t.webhooks.body} ${delivery.id}`}>{JSON.stringify(delivery.body, undefined, 2)}</pre>
        </details>
      </div>
      <StateTag of={deliveryState(delivery, t)} />
      {onReplay && <Button size="small" disabled={isBusy} aria-label={`${t.webhooks.replay}: ${event}, ${format.moment(delivery.created_at)}`} onClick={onReplay}>{t.webhooks.replay}</Button>}
    </li>
  );
}

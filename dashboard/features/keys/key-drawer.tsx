"use client";

import Link from "next/link";

import { Button, buttonClass } from "@/components/ui/button";
import { Drawer } from "@/components/ui/drawer";
import { Note } from "@/components/ui/note";
import { Failure, SkeletonRows } from "@/components/ui/states";
import { explainKeyLink } from "@/features/explain/address";
import { KeyChart } from "@/features/keys/key-chart";
import type { KeyTask } from "@/features/keys/key-actions";
import { hasEnded, scopeOf, shortened } from "@/features/keys/key-state";
import { useKey } from "@/features/keys/use-keys";
import type { Schemas } from "@/lib/api";
import { labelsText } from "@/lib/labels";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";
import { useMe } from "@/lib/queries";

interface KeyDrawerProps {
  id: string;
  onTask(task: KeyTask): void;
  onClose(): void;
}

/** One key, of the reader or for admins of any user: its use, its last client, its old secret, and its changes. */
export function KeyDrawer({ id, onTask, onClose }: KeyDrawerProps) {
  const t = useMessages();
  const key = useKey(id);
  return (
    <Drawer title={<bdi className="trunc">{key.data?.label ?? t.keys.key}</bdi>} sub={key.data ? shortened(key.data) : id} onClose={onClose}>
      {key.isPending && <SkeletonRows rows={6} />}
      {key.isError && !key.data && (
        key.error.status === 404 ? <section><Note title={t.keys.missing} /></section> : <Failure error={key.error} onRetry={() => void key.refetch()} />
      )}
      {key.data && <KeyFacts apiKey={key.data} onTask={onTask} />}
      {key.data && <CallsByDay days={key.data.use.days} />}
    </Drawer>
  );
}

function KeyFacts({ apiKey, onTask }: { apiKey: Schemas["ApiKeyDetail"]; onTask(task: KeyTask): void }) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const isAdmin = useMe().data?.acts_as === "admin";
  const { user, use, old_secret: old } = apiKey;
  const name = user.email ?? user.name;
  return (
    <section>
      <dl className="dl">
        <dt>{t.keys.user}</dt>
        <dd>{isAdmin ? <Link className="link" href={`/dashboard/users?id=${user.id}`}><bdi>{name}</bdi></Link> : <bdi>{name}</bdi>}</dd>
        <dt>{t.keys.scope}</dt>
        <dd>{<span title={apiKey.admin ? t.keys.adminText : undefined}>{scopeOf(apiKey, t, format)}</span>}</dd>
        <dt>{t.keys.lastUsed}</dt>
        <dd className="num">{use.at ? <span title={format.moment(use.at)}>{format.ago(use.at, now)}</span> : t.keys.never}</dd>
        <dt>{t.keys.lastClient}</dt>
        <dd><bdi>{use.address ? t.keys.client(use.client ?? t.keys.unknownClient, use.address) : t.keys.unknownClient}</bdi></dd>
        <dt>{t.keys.expires}</dt>
        <dd className="num">{apiKey.expires_at ? format.moment(apiKey.expires_at) : t.keys.never}</dd>
        {Object.keys(apiKey.labels).length > 0 && (
          <>
            <dt>{t.keys.labels}</dt>
            <dd className="mono">{labelsText(apiKey.labels)}</dd>
          </>
        )}
        {old && (
          <>
            <dt>{t.keys.oldSecretState}</dt>
            <dd className="num">
              {old.last_used_at
                ? t.keys.oldSecretUsed(format.ago(old.last_used_at, now), format.moment(old.ends_at))
                : t.keys.oldSecretUnused(format.moment(old.ends_at))}
            </dd>
          </>
        )}
      </dl>
      {hasEnded(apiKey, now) ? (
        <p className="t2 md">{apiKey.revoked_at ? t.keys.revoked : t.keys.expired}</p>
      ) : (
        <div className="row wrap">
          <Button size="small" onClick={() => onTask({ kind: "edit", key: apiKey })}>{t.keys.edit}</Button>
          <Button size="small" onClick={() => onTask({ kind: "rotate", key: apiKey })}>{t.keys.rotate}</Button>
          {isAdmin && !apiKey.admin && <Link className={buttonClass({ size: "small" })} href={explainKeyLink(apiKey.id)}>{t.keys.explain}</Link>}
          <Button size="small" look="danger" onClick={() => onTask({ kind: "revoke", key: apiKey })}>{t.keys.revoke}</Button>
        </div>
      )}
      {isAdmin && <Link className="link sm" href={`/dashboard/audit?user=${user.id}`}>{t.keys.audit}</Link>}
    </section>
  );
}

/** A chart of the last days, and the days with calls, newest first. */
function CallsByDay({ days }: { days: Schemas["UsageOfDay"][] }) {
  const t = useMessages();
  const format = useFormat();
  const used = days.filter(({ requests }) => requests > 0).reverse();
  return (
    <section aria-labelledby="key-calls">
      <h3 id="key-calls">{t.keys.callsByDay}</h3>
      {used.length === 0 && <p className="t2 md">{t.keys.noCalls}</p>}
      {used.length > 0 && <KeyChart days={days} />}
      {used.length > 0 && (
        <dl className="dl">
          {used.map(({ date, requests, cost }) => (
            <div key={date} className="contents">
              <dt className="num">{date}</dt>
              <dd className="num">{format.count(requests)} <span className="t3">· {format.total(cost)}</span></dd>
            </div>
          ))}
        </dl>
      )}
    </section>
  );
}

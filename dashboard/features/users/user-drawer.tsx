"use client";

import Link from "next/link";
import { useState } from "react";

import { Button } from "@/components/ui/button";
import { Drawer } from "@/components/ui/drawer";
import { Meter } from "@/components/ui/meter";
import { Note } from "@/components/ui/note";
import { Failure, SkeletonRows } from "@/components/ui/states";
import { figuresOf, ruleText } from "@/features/budgets/budget-figures";
import { hasEnded } from "@/features/keys/key-state";
import { AdminTag } from "@/features/keys/admin-tag";
import { ShortKey } from "@/features/keys/short-key";
import { GrantsDialog } from "@/features/users/grants-dialog";
import { LabelsDialog } from "@/features/users/labels-dialog";
import { UserStatusMark, type UserTask, userActions } from "@/features/users/user-table";
import { type User, type UserDetail, useUser, useUserKeys, useUserOverview } from "@/features/users/use-users";
import { NONE } from "@/lib/format";
import { grantsText } from "@/lib/grants";
import { labelsText } from "@/lib/labels";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";

interface UserDrawerProps {
  id: string;
  onTask(task: UserTask): void;
  onClose(): void;
}

/** One user: account, quota and budgets, keys, and what an admin can do. */
export function UserDrawer({ id, onTask, onClose }: UserDrawerProps) {
  const t = useMessages();
  const user = useUser(id);
  const title = user.data ? (
    <>
      <bdi className="trunc">{user.data.name}</bdi>
      <UserStatusMark user={user.data} />
    </>
  ) : t.users.user;
  return (
    <Drawer title={title} sub={user.data?.email ?? (user.data ? t.users.service : id)} onClose={onClose}>
      {user.isPending && <SkeletonRows rows={6} />}
      {user.isError && !user.data && (
        user.error.status === 404 ? <section><Note title={t.users.missing} /></section> : <Failure error={user.error} onRetry={() => void user.refetch()} />
      )}
      {user.data && <Account user={user.data} onTask={onTask} />}
      {user.data && <UserLimits user={user.data} />}
      {user.data && <UserKeys user={user.data} />}
    </Drawer>
  );
}

function Account({ user, onTask }: { user: UserDetail; onTask(task: UserTask): void }) {
  const t = useMessages();
  const format = useFormat();
  const [editsLabels, setEditsLabels] = useState(false);
  const [editsGrants, setEditsGrants] = useState(false);
  return (
    <section>
      <dl className="dl">
        <dt>{t.users.plan}</dt>
        <dd>{user.plan}</dd>
        <dt>{t.users.role}</dt>
        <dd>{t.frame.roles[user.role === "admin" ? "admin" : "member"]}</dd>
        <dt>{t.users.grants}</dt>
        <dd className="mono">{grantsText(user.grants) || NONE}</dd>
        <dt>{t.users.labels}</dt>
        <dd className="mono">{labelsText(user.labels) || NONE}</dd>
        <dt>{t.users.created}</dt>
        <dd className="num">{format.moment(user.created_at)}</dd>
        <dt>{t.users.id}</dt>
        <dd className="mono">{user.id}</dd>
      </dl>
      <div className="row wrap">
        {userActions(user, t, onTask).map(({ name, icon: Icon, isDangerous, onSelect }) => (
          <Button key={name} size="small" look={isDangerous ? "danger" : "plain"} onClick={onSelect}>
            <Icon className="i s" aria-hidden />
            {name}
          </Button>
        ))}
        <Button size="small" onClick={() => setEditsLabels(true)}>{t.users.editLabels}</Button>
        {user.kind === "person" && <Button size="small" onClick={() => setEditsGrants(true)}>{t.users.editGrants}</Button>}
      </div>
      {editsLabels && <LabelsDialog user={user} onClose={() => setEditsLabels(false)} />}
      {editsGrants && <GrantsDialog user={user} onClose={() => setEditsGrants(false)} />}
      <Link className="link sm" href={`/dashboard/audit?user=${user.id}`}>{t.users.auditOf}</Link>
    </section>
  );
}

function UserLimits({ user }: { user: User }) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const overview = useUserOverview(user.id);
  const set = `/dashboard/budgets?set=user&email=${encodeURIComponent(user.email ?? "")}`;
  return (
    <section aria-labelledby="user-limits">
      <div className="row">
        <h3 id="user-limits">{t.users.limits}</h3>
        {user.email && <Link className="link sm push" href={set}>{t.budgets.set}</Link>}
      </div>
      {overview.isPending && <SkeletonRows rows={2} />}
      {overview.isError && !overview.data && <Failure error={overview.error} onRetry={() => void overview.refetch()} />}
      {overview.data && overview.data.budgets.length === 0 && <p className="t2 md">{t.users.noLimits}</p>}
      {overview.data?.budgets.map((budget) => {
        const { measure, amount, used, share } = figuresOf(budget, format);
        const name = ruleText(budget, t);
        return (
          <div key={`${budget.dimension}-${budget.source}-${measure}-${budget.per}`} className="grid gap-1">
            <div className="row wrap md gap-x-2 gap-y-0">
              <span className="med">{name}</span>
              <span className="t3 sm">{t.budgets.dimensions[budget.dimension]} · {t.budgets.sources[budget.source]}</span>
              <span className="push num">{used === undefined ? amount : t.budgets.usedOf(used, amount)}</span>
            </div>
            {share !== undefined && <Meter label={name} share={share} />}
            <span className="hint num">{t.budgets.resetsIn(format.left(budget.resets_at, now))}</span>
          </div>
        );
      })}
      {overview.data && (
        <p className="t2 md num">
          {t.users.monthSpend(format.total(overview.data.month.cost), format.count(overview.data.month.requests))}
        </p>
      )}
    </section>
  );
}

function UserKeys({ user }: { user: User }) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const keys = useUserKeys(user.id);
  const items = keys.data?.items ?? [];
  return (
    <section aria-labelledby="user-keys">
      <div className="row">
        <h3 id="user-keys">{t.frame.keys}</h3>
        <Link className="link sm push" href={`/dashboard/keys?create=1&user=${user.id}`}>{t.users.createKey}</Link>
      </div>
      {keys.isPending && <SkeletonRows rows={2} />}
      {keys.isError && !keys.data && <Failure error={keys.error} onRetry={() => void keys.refetch()} />}
      {keys.data && items.length === 0 && <p className="t2 md">{t.users.noKeys}</p>}
      {items.length > 0 && (
        <ul className="grid max-h-80 gap-2 overflow-y-auto">
          {items.slice(0, KEYS_MAX).map((key) => (
            <li key={key.id} className="row md">
              <span className="min-w-0 flex-1">
                <Link className={hasEnded(key, now) ? "link trunc t3 block" : "link trunc block"} title={key.label} href={`/dashboard/keys?id=${key.id}`}>
                  <bdi>{key.label}</bdi>
                </Link>
                {key.admin && <AdminTag />}
                <ShortKey apiKey={key} className="t3 sm" />
              </span>
              <span className="t3 sm nowrap">
                {key.revoked_at ? t.keys.revoked : hasEnded(key, now) ? t.keys.expired : key.last_used_at ? format.ago(key.last_used_at, now) : t.users.neverUsed}
              </span>
            </li>
          ))}
        </ul>
      )}
      {(items.length > KEYS_MAX || keys.data?.next) && <p className="hint">{t.users.moreKeys(format.count(KEYS_MAX))}</p>}
    </section>
  );
}

/** Keys that the drawer shows; the rest is rarely looked for here. */
const KEYS_MAX = 40;

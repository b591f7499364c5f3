"use client";

import dynamic from "next/dynamic";

import { SkeletonRows } from "@/components/ui/states";
import { PasswordForm } from "@/features/account/password-form";
import { Shell } from "@/features/frame/shell";
import { useFormat, useMessages } from "@/lib/language";
import { useMe } from "@/lib/queries";

// The table is larger than the rest of the page.
const SessionList = dynamic(() => import("@/features/account/session-list").then((module) => module.SessionList), { loading: SessionsLoading });

/** The caller's own account: profile, password and sessions. */
export function AccountPage() {
  const t = useMessages();
  return (
    <Shell page="account">
      <div className="grid2">
        <section className="panel" aria-labelledby="profile">
          <div className="ph">
            <h2 id="profile">{t.account.profile}</h2>
          </div>
          <div className="px-4 pb-4">
            <Profile />
          </div>
        </section>
        <section className="panel" aria-labelledby="password">
          <div className="ph">
            <h2 id="password">{t.account.password}</h2>
          </div>
          <div className="grid gap-4 px-4 pb-4">
            <PasswordForm />
          </div>
        </section>
      </div>
      <SessionList />
    </Shell>
  );
}

function SessionsLoading() {
  return <section className="panel"><SkeletonRows rows={3} height={52} /></section>;
}

function Profile() {
  const t = useMessages();
  const format = useFormat();
  const me = useMe().data;
  const user = me?.user;
  const held: readonly string[] = me?.roles ?? [];
  const lines = [
    [t.account.name, user?.name],
    [t.account.email, user?.email ?? undefined],
    [t.account.plan, user?.plan],
    [t.account.role, user && [t.frame.roles[user.role === "admin" ? "admin" : "member"], ...held].join(", ")],
    [t.account.since, user && format.day(user.created_at)],
  ];
  return (
    <>
      <dl className="dl">
        {lines.map(([name, value]) => (
          <div key={name} className="contents">
            <dt>{name}</dt>
            <dd>{value === undefined ? <i className="sk mt-1 w-32" /> : <bdi>{value}</bdi>}</dd>
          </div>
        ))}
      </dl>
      <p className="hint mt-4">{t.account.nameChange}</p>
    </>
  );
}

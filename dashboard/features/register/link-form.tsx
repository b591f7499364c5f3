"use client";

import { useQuery } from "@tanstack/react-query";
import Link from "next/link";
import { useState } from "react";

import { Button, buttonClass } from "@/components/ui/button";
import { Note } from "@/components/ui/note";
import { type AccountFields, AccountForm } from "@/features/register/account-form";
import { wordsOf } from "@/features/register/account-problem";
import { maybeTaken, useEntry } from "@/features/register/use-entry";
import { AuthFrame } from "@/features/session/auth-frame";
import { ApiError, type Schemas, api } from "@/lib/api";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";

type Kind = "invite" | "password" | "first_admin";

function kindOf(kind: string): Kind | undefined {
  return (["invite", "password", "first_admin"] as const).find((known) => known === kind);
}

/** What a one-time link permits: an account by invitation, a new password, or the first admin. */
export function LinkForm({ token }: { token: string }) {
  const t = useMessages();
  const checked = useQuery<Schemas["LinkCheckResponse"], ApiError>({
    queryKey: ["link", token],
    queryFn: ({ signal }) => api("post", "/api/auth/link/check", { body: { token }, signal }),
    staleTime: Infinity,
  });
  if (checked.data) {
    const kind = kindOf(checked.data.kind);
    if (!kind) return <AuthFrame title={t.register.gone}><Note tone="bad" title={t.register.unknownKind} /></AuthFrame>;
    return <Redeem token={token} kind={kind} link={checked.data} />;
  }
  if (checked.isPending) {
    return (
      <AuthFrame title={t.register.checking}>
        <div className="stack" role="status" aria-busy aria-label={t.register.checking}>
          {[0, 1, 2].map((at) => <i key={at} className="sk h-10 w-full" />)}
        </div>
      </AuthFrame>
    );
  }
  const isGone = checked.error.code === "not_found";
  const words = wordsOf(checked.error, checked.error.retryAfter ?? 60, t);
  return (
    <AuthFrame title={isGone ? t.register.gone : words.title}>
      <Note tone={words.tone} title={isGone ? t.register.goneText : words.text} />
      {isGone ? (
        <Link className={buttonClass({ size: "large" })} href="/dashboard/login">{t.register.signIn}</Link>
      ) : (
        <Button size="large" onClick={() => void checked.refetch()}>{t.errors.retry}</Button>
      )}
    </AuthFrame>
  );
}

interface RedeemProps {
  token: string;
  kind: Kind;
  link: Schemas["LinkCheckResponse"];
}

function Redeem({ token, kind, link }: RedeemProps) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const entry = useEntry();
  const [isDone, setIsDone] = useState(false);
  const email = link.email ?? undefined;
  const left = format.left(link.expires_at, now);
  const titles = { invite: t.register.titleInvite, password: t.register.titlePassword, first_admin: t.register.titleFirstAdmin };
  const texts = { invite: t.register.textInvite(left), password: t.register.textPassword(left), first_admin: t.register.textFirstAdmin };
  const submit = async ({ name, email: typed, password }: AccountFields) => {
    const who = kind === "password" ? {} : { name, email: typed };
    const { user } = await api("post", "/api/auth/link", { body: { token, password, ...who } });
    try {
      await entry.signIn(user.email ?? email ?? who.email ?? "", password, kind === "first_admin" ? "/dashboard/setup" : "/dashboard/overview");
    } catch (error) {
      // An invitation for any address does not reveal whether the typed one has an account.
      if (kind === "invite" && error instanceof ApiError && error.isSignedOut) throw maybeTaken();
      setIsDone(true);
    }
  };
  if (isDone) {
    const title = kind === "password" ? t.register.donePassword : t.register.done;
    return (
      <AuthFrame title={title}>
        <Note tone="ok" title={t.register.doneText} />
        <Link className={buttonClass({ look: "primary", size: "large" })} href="/dashboard/login">{t.register.signIn}</Link>
      </AuthFrame>
    );
  }
  return (
    <AuthFrame title={titles[kind]} text={texts[kind]}>
      <AccountForm onlyPassword={kind === "password"} email={email} onSubmit={submit} />
    </AuthFrame>
  );
}

"use client";

import Link from "next/link";
import { useState } from "react";
import { z } from "zod";

import { Button } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { Note } from "@/components/ui/note";
import { Failure } from "@/components/ui/states";
import { type AccountFields, AccountForm } from "@/features/register/account-form";
import { LinkForm } from "@/features/register/link-form";
import { tokenIn, useAddressToken } from "@/features/register/token";
import { maybeTaken, useEntry } from "@/features/register/use-entry";
import { AuthFrame } from "@/features/session/auth-frame";
import { ApiError, api } from "@/lib/api";
import { useForm } from "@/lib/form";
import { useMessages } from "@/lib/language";
import { useSite } from "@/lib/queries";

/** Registration where it is open, or with an invitation. */
export function RegisterPage() {
  const t = useMessages();
  const site = useSite();
  const address = useAddressToken();
  const [pasted, setPasted] = useState<string>();
  const token = address || pasted;
  if (token) return <LinkForm key={token} token={token} />;
  const signup = site.data?.signup;
  return (
    <AuthFrame title={t.register.title} text={signup === "open" ? t.register.textOpen : undefined}>
      {site.isError && !site.data && <Failure error={site.error} onRetry={() => void site.refetch()} />}
      {site.isPending && [0, 1, 2].map((at) => <i key={at} className="sk h-10 w-full" aria-busy />)}
      {site.data?.needs_setup && (
        <Note title={t.signIn.needsSetup}>
          <Link className="link" href="/dashboard/setup">{t.signIn.setUp}</Link>
        </Note>
      )}
      {signup === "open" && <OpenForm />}
      {signup === "invite" && <InvitationForm onToken={setPasted} />}
      {signup === "closed" && <Note title={t.register.closed}>{t.register.closedText}</Note>}
      {site.data && (
        <p className="t2 md lf">
          {t.register.haveAccount} <Link className="link" href="/dashboard/login">{t.register.signIn}</Link>
        </p>
      )}
    </AuthFrame>
  );
}

function OpenForm() {
  const entry = useEntry();
  const submit = async (body: AccountFields) => {
    await api("post", "/api/auth/register", { body });
    try {
      // The response for a taken address is the same, but its session does not exist.
      await api("get", "/api/me");
    } catch (error) {
      throw error instanceof ApiError && error.isSignedOut ? maybeTaken() : error;
    }
    entry.open("/dashboard/overview");
  };
  return <AccountForm onSubmit={submit} />;
}

/** Takes an invitation that a person pastes. */
function InvitationForm({ onToken }: { onToken(token: string): void }) {
  const t = useMessages();
  const shape = z.object({
    invitation: z.string().trim().min(1, t.register.invitationMissing).refine((text) => tokenIn(text) !== undefined, t.register.invitationShape),
  });
  const form = useForm(shape, { invitation: "" }, async ({ invitation }) => onToken(tokenIn(invitation) ?? ""));
  return (
    <form className="stack" onSubmit={form.submit} noValidate>
      <Note title={t.register.inviteOnly}>{t.register.inviteOnlyText}</Note>
      <Field
        label={t.register.invitation}
        hint={t.register.invitationHint}
        className="lg mono"
        autoComplete="off"
        spellCheck={false}
        {...form.field("invitation")}
      />
      <Button look="primary" size="large" type="submit">{t.register.useInvitation}</Button>
    </form>
  );
}

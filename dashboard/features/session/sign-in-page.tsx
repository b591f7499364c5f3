"use client";

import { useQueryClient } from "@tanstack/react-query";
import Link from "next/link";
import { useRouter, useSearchParams } from "next/navigation";
import { useEffect } from "react";

import { Note } from "@/components/ui/note";
import { AuthFrame } from "@/features/session/auth-frame";
import { useSession } from "@/features/session/session-state";
import { SignInForm } from "@/features/session/sign-in-form";
import { useMessages } from "@/lib/language";
import { useMe, useSite } from "@/lib/queries";

/** The first page after a sign-in. */
const FIRST = "/dashboard/overview";

/** The page to return to: only one of the dashboard, so that a link cannot lead elsewhere. */
export function safeTarget(next: string | null): string {
  return next !== null && /^\/dashboard\/[a-z]/.test(next) && !next.startsWith("/dashboard/login") ? next : FIRST;
}

export function SignInPage() {
  const t = useMessages();
  const router = useRouter();
  const client = useQueryClient();
  const site = useSite();
  const me = useMe();
  const target = safeTarget(useSearchParams().get("next"));
  useEffect(() => {
    if (me.isSuccess) router.replace(target);
  }, [me.isSuccess, router, target]);
  const done = () => {
    useSession.getState().signedIn();
    client.removeQueries({ predicate: (query) => query.queryKey[0] !== "site" });
    router.replace(target);
  };
  const control = site.data && (
    <>
      {t.signIn.to} <span className="mono">{site.data.control_url.replace(/^https?:\/\//, "")}</span>
    </>
  );
  return (
    <AuthFrame title={t.signIn.title} text={control}>
      {site.isError && <Note tone="bad" title={t.signIn.offline}>{t.signIn.offlineText}</Note>}
      {site.data?.needs_setup && (
        <Note title={t.signIn.needsSetup}>
          <Link className="link" href="/dashboard/setup">{t.signIn.setUp}</Link>
        </Note>
      )}
      <div>
        <SignInForm onDone={done} />
      </div>
      {site.data && (
        <p className="t2 md lf">
          {t.signIn.noAccount} {t.signIn[site.data.signup]}{" "}
          {site.data.signup !== "closed" && <Link className="link" href="/dashboard/register">{t.register.title}</Link>}
        </p>
      )}
    </AuthFrame>
  );
}

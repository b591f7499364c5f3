"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useRouter, useSearchParams } from "next/navigation";
import { useEffect } from "react";

import { Mark } from "@/components/ui/mark";
import { Note } from "@/components/ui/note";
import { LanguageSelect } from "@/components/ui/language-select";
import { ThemeButton } from "@/components/ui/theme-button";
import { BrandName } from "@/features/frame/public-frame";
import { useSession } from "@/features/session/session-state";
import { SignInForm } from "@/features/session/sign-in-form";
import { useMessages } from "@/lib/language";
import { useMe, useSite } from "@/lib/queries";
import { useTitle } from "@/lib/title";

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
  useTitle(t.signIn.title);
  useEffect(() => {
    if (me.isSuccess) router.replace(target);
  }, [me.isSuccess, router, target]);
  const done = () => {
    useSession.getState().signedIn();
    client.removeQueries({ predicate: (query) => query.queryKey[0] !== "site" });
    router.replace(target);
  };
  return (
    <div className="sgn">
      <header className="row px-6 py-[18px]">
        <a className="row gap-2.5" href="/">
          <Mark />
          <BrandName />
        </a>
        <span className="push row gap-1">
          <LanguageSelect />
          <ThemeButton />
        </span>
      </header>
      <main className="lm">
        <div className="lb">
          <div>
            <h1>{t.signIn.title}</h1>
            {site.data && (
              <p className="t2 mt-1.5">
                {t.signIn.to} <span className="mono">{site.data.control_url.replace(/^https?:\/\//, "")}</span>
              </p>
            )}
          </div>
          {site.isError && <Note tone="bad" title={t.signIn.offline}>{t.signIn.offlineText}</Note>}
          <div>
            <SignInForm onDone={done} />
          </div>
          {site.data && (
            <p className="t2 md lf">
              {t.signIn.noAccount} {t.signIn[site.data.signup]}
            </p>
          )}
        </div>
      </main>
      <footer className="row wrap">
        <a href="/">{t.signIn.about}</a>
        <a href="/docs">{t.frame.documentation}</a>
      </footer>
    </div>
  );
}

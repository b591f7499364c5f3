"use client";

import { useQueryClient } from "@tanstack/react-query";
import dynamic from "next/dynamic";
import { usePathname, useRouter, useSearchParams } from "next/navigation";
import { type ReactNode, useEffect } from "react";

import { LanguageSelect } from "@/components/ui/language-select";
import { Mark } from "@/components/ui/mark";
import { Failure } from "@/components/ui/states";
import { ThemeButton } from "@/components/ui/theme-button";
import { BottomBar, Navigation, SignOut } from "@/features/frame/navigation";
import { ClockBar } from "@/features/frame/clock-bar";
import { OfflineBar } from "@/features/frame/offline-bar";
import type { PageName } from "@/features/frame/pages";
import { SignOutBar } from "@/features/frame/sign-out-bar";
import { UserBar } from "@/features/frame/user-bar";
import { WaitingBar } from "@/features/frame/waiting-bar";
import { openForOtherUser } from "@/features/session/other-user";
import { useSession } from "@/features/session/session-state";
import { useFormat, useMessages } from "@/lib/language";
import { useLater } from "@/lib/later";
import { useMe } from "@/lib/queries";
import { useTitle } from "@/lib/title";

const sessionEnded = () => import("@/features/session/session-ended").then((module) => module.SessionEnded);
const SessionEnded = dynamic(sessionEnded);

interface ShellProps {
  page: PageName;
  /** The page's own controls in the top bar. */
  actions?: ReactNode;
  children: ReactNode;
}

/** The frame of every page that needs a session. Without one, the reader signs in and returns. */
export function Shell({ page, actions, children }: ShellProps) {
  const t = useMessages();
  const format = useFormat();
  const router = useRouter();
  const path = usePathname();
  const query = useSearchParams().toString();
  const me = useMe();
  const session = useSession((state) => state.state);
  const client = useQueryClient();
  useTitle(t.frame[page]);
  useLater(sessionEnded);
  const { isSuccess: isKnown, dataUpdatedAt: knownAt } = me;
  const user = me.data?.user.id;
  useEffect(() => {
    const { state, endedAt, user: before, signedIn } = useSession.getState();
    if (!isKnown || knownAt <= endedAt) return;
    if (state === "ended" && user !== before) openForOtherUser(client, router);
    else signedIn(user);
  }, [isKnown, knownAt, user, client, router]);
  useEffect(() => {
    // The response to a request from before the end is no sign-in of another tab.
    if (session === "ended") void client.cancelQueries({ queryKey: ["me"] });
  }, [session, client]);
  useEffect(() => {
    if (session !== "absent") return;
    const here = query === "" ? path : `${path}?${query}`;
    router.replace(`/dashboard/login?next=${encodeURIComponent(here)}`);
  }, [session, router, path, query]);
  const content = me.isError && !me.error.isSignedOut && !me.data ? <Failure error={me.error} onRetry={() => void me.refetch()} /> : children;
  return (
    <>
      <a className="skip" href="#main">
        {t.frame.skip}
      </a>
      <div className="app">
        <Navigation page={page} />
        <div className="min-w-0">
          <header className="top">
            <Mark />
            <h1 className="trunc">{t.frame[page]}</h1>
            <div className="row push">
              {me.data && <span className="t3 sm hide">{t.frame.zone(format.zone())}</span>}
              {actions}
              <LanguageSelect />
              <ThemeButton />
              {me.data && <SignOut place="narrow-only" />}
            </div>
          </header>
          <OfflineBar />
          <WaitingBar />
          <ClockBar />
          <UserBar />
          <SignOutBar />
          <main className="page" id="main">
            {session === "absent" ? null : content}
          </main>
        </div>
      </div>
      <BottomBar page={page} />
      {session === "ended" && <SessionEnded />}
    </>
  );
}

"use client";

import * as Menu from "@radix-ui/react-dropdown-menu";
import { BookOpen, Ellipsis, LogOut } from "lucide-react";
import dynamic from "next/dynamic";
import Link from "next/link";
import { usePathname, useRouter, useSearchParams } from "next/navigation";
import { type ReactNode, useEffect } from "react";

import { Button } from "@/components/ui/button";
import { LanguageSelect } from "@/components/ui/language-select";
import { Mark } from "@/components/ui/mark";
import { Failure } from "@/components/ui/states";
import { ThemeButton } from "@/components/ui/theme-button";
import { ClockBar } from "@/features/frame/clock-bar";
import { OfflineBar } from "@/features/frame/offline-bar";
import { PAGES, type PageName } from "@/features/frame/pages";
import { BrandName } from "@/features/frame/public-frame";
import { Jump } from "@/features/palette/jump";
import { useSession } from "@/features/session/session-state";
import { useSignOut } from "@/features/session/use-sign-out";
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
  const isFirst = me.isSuccess;
  useTitle(t.frame[page]);
  useLater(sessionEnded);
  useEffect(() => {
    if (isFirst) useSession.getState().signedIn();
  }, [isFirst]);
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
          <ClockBar />
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

function Navigation({ page }: { page: PageName }) {
  const t = useMessages();
  const me = useMe();
  return (
    <nav className="nav" aria-label={t.frame.main}>
      <Link className="brand" href="/dashboard/overview">
        <Mark />
        <span className="min-w-0">
          <BrandName />
        </span>
      </Link>
      <Jump />
      {PAGES.map(({ href, icon: Icon, name }) => (
        <Link key={name} className="n" href={href} aria-current={name === page ? "page" : undefined} title={t.frame[name]}>
          <Icon className="i" aria-hidden />
          <span>{t.frame[name]}</span>
        </Link>
      ))}
      <div className="foot">
        <a className="n" href="/docs" title={t.frame.documentation}>
          <BookOpen className="i" aria-hidden />
          <span>{t.frame.documentation}</span>
        </a>
        {me.data && (
          <div className="me">
            <span className="ava" aria-hidden>
              {initials(me.data.user.name)}
            </span>
            <span className="trunc">
              <b className="med" title={me.data.user.email}>{me.data.user.name}</b>
              <br />
              <span className="t3 sm">{t.frame.plan(me.data.user.plan, t.frame.roles[me.data.acts_as === "admin" ? "admin" : "member"])}</span>
            </span>
            <SignOut place="wide-only" />
          </div>
        )}
      </div>
    </nav>
  );
}

function SignOut({ place }: { place: "wide-only" | "narrow-only" }) {
  const t = useMessages();
  const signOut = useSignOut();
  return (
    <Button look="ghost" size="small" icon className={`push ${place}`} aria-label={t.frame.signOut} title={t.frame.signOut} onClick={signOut}>
      <LogOut className="i s" aria-hidden />
    </Button>
  );
}

/** Pages with a place of their own in the bar of a phone; a menu has the others. */
const BAR_PAGES = 4;

function BottomBar({ page }: { page: PageName }) {
  const t = useMessages();
  return (
    <nav className="tabs-b" aria-label={t.frame.main}>
      {PAGES.slice(0, BAR_PAGES).map(({ href, icon: Icon, name }) => (
        <Link key={name} href={href} aria-current={name === page ? "page" : undefined}>
          <Icon className="i" aria-hidden />
          {t.frame[name]}
        </Link>
      ))}
      <MorePages page={page} />
    </nav>
  );
}

function MorePages({ page }: { page: PageName }) {
  const t = useMessages();
  const rest = PAGES.slice(BAR_PAGES);
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger aria-current={rest.some(({ name }) => name === page) ? "page" : undefined}>
        <Ellipsis className="i" aria-hidden />
        {t.frame.more}
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Content className="menu" align="end" side="top" sideOffset={8} collisionPadding={8}>
          {rest.map(({ href, icon: Icon, name }) => (
            <Menu.Item key={name} asChild>
              <Link href={href} aria-current={name === page ? "page" : undefined}>
                <Icon className="i s" aria-hidden />
                {t.frame[name]}
              </Link>
            </Menu.Item>
          ))}
          <Menu.Item asChild>
            <a href="/docs">
              <BookOpen className="i s" aria-hidden />
              {t.frame.documentation}
            </a>
          </Menu.Item>
        </Menu.Content>
      </Menu.Portal>
    </Menu.Root>
  );
}

/** The first letters of the first and the last word. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => Array.from(word ?? "")[0] ?? "");
  return letters.join("").toUpperCase();
}

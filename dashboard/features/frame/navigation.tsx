"use client";

import * as Menu from "@radix-ui/react-dropdown-menu";
import { BookOpen, CircleUser, Ellipsis, LogOut } from "lucide-react";
import Link from "next/link";
import { Fragment } from "react";

import { Button } from "@/components/ui/button";
import { Mark } from "@/components/ui/mark";
import type { PAGES, PageName } from "@/features/frame/pages";
import { BrandName } from "@/features/frame/plain-head";
import { useAdminGroups, useAdminPages, usePages } from "@/features/frame/use-pages";
import { roleName } from "@/features/frame/role-name";
import { Jump } from "@/features/palette/jump";
import { useSignOut } from "@/features/session/use-sign-out";
import { useMessages } from "@/lib/language";
import { useMe } from "@/lib/queries";

const ACCOUNT = "/dashboard/account";
/** The entries of the bottom bar before its menu. */
const BOTTOM_MAX = 4;

/** The navigation beside the page. */
export function Navigation({ page }: { page: PageName }) {
  const t = useMessages();
  const me = useMe();
  const [pages, groups] = [usePages(), useAdminGroups()];
  const role = me.data && t.frame.roles[me.data.acts_as === "admin" ? "admin" : "member"];
  const plan = me.data && role && t.frame.plan(me.data.user.plan, [role, ...me.data.roles.map((name) => roleName(name, t))].join(", "));
  const entry = ({ href, icon: Icon, name }: (typeof PAGES)[number]) => (
    <Link key={name} className="n" href={href} aria-current={name === page ? "page" : undefined} title={t.frame[name]}>
      <Icon className="i" aria-hidden />
      <span>{t.frame[name]}</span>
    </Link>
  );
  return (
    <nav className="nav" aria-label={t.frame.main}>
      <Link className="brand" href="/dashboard/overview">
        <Mark />
        <span className="min-w-0">
          <BrandName />
        </span>
      </Link>
      <Jump />
      {pages.map(entry)}
      {groups.map(({ group, pages: ofGroup }) => (
        <Fragment key={group}>
          <h2>{t.frame.groups[group]}</h2>
          {ofGroup.map(entry)}
        </Fragment>
      ))}
      <div className="foot">
        <a className="n" href="/docs" title={t.frame.documentation}>
          <BookOpen className="i" aria-hidden />
          <span>{t.frame.documentation}</span>
        </a>
        {me.data && (
          <div className="row gap-0">
            <Link className="me min-w-0 flex-1" href={ACCOUNT} aria-current={page === "account" ? "page" : undefined}>
              <span className="ava" aria-hidden>
                {initials(me.data.user.name)}
              </span>
              <span className="trunc">
                <span className="vh">{t.frame.account}: </span>
                <b className="med" title={me.data.user.email ?? me.data.user.name}>{me.data.user.name}</b>
                <br />
                <span className="t3 sm">{plan}</span>
              </span>
            </Link>
            <SignOut place="wide-only" />
          </div>
        )}
      </div>
    </nav>
  );
}

export function SignOut({ place }: { place: "wide-only" | "narrow-only" }) {
  const t = useMessages();
  const signOut = useSignOut();
  return (
    <Button look="ghost" size="small" icon className={place} aria-label={t.frame.signOut} title={t.frame.signOut} onClick={signOut}>
      <LogOut className="i s" aria-hidden />
    </Button>
  );
}

/** The navigation of a phone. Its menu contains the pages that do not fit. */
export function BottomBar({ page }: { page: PageName }) {
  const t = useMessages();
  const [pages, adminPages] = [usePages(), useAdminPages()];
  const signOut = useSignOut();
  const [shown, more] = [pages.slice(0, BOTTOM_MAX), [...pages.slice(BOTTOM_MAX), ...adminPages]];
  const account = { href: ACCOUNT, icon: CircleUser, name: "account" } as const;
  const inMenu = [...more, account];
  return (
    <nav className="tabs-b" aria-label={t.frame.main}>
      {shown.map(({ href, icon: Icon, name }) => (
        <Link key={name} href={href} aria-current={name === page ? "page" : undefined}>
          <Icon className="i" aria-hidden />
          {t.frame[name]}
        </Link>
      ))}
      <Menu.Root modal={false}>
        <Menu.Trigger aria-current={inMenu.some(({ name }) => name === page) ? "page" : undefined}>
          <Ellipsis className="i" aria-hidden />
          {t.frame.more}
        </Menu.Trigger>
        <Menu.Portal>
          <Menu.Content className="menu" side="top" align="end" sideOffset={8} collisionPadding={8}>
            {inMenu.map(({ href, icon: Icon, name }) => (
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
            <Menu.Item onSelect={signOut}>
              <LogOut className="i s" aria-hidden />
              {t.frame.signOut}
            </Menu.Item>
          </Menu.Content>
        </Menu.Portal>
      </Menu.Root>
    </nav>
  );
}

/** The first letters of the first and the last word. */
export function initials(name: string): string {
  const words = name.trim().split(/\s+/);
  const letters = [words[0], words.length > 1 ? words.at(-1) : undefined].map((word) => Array.from(word ?? "")[0] ?? "");
  return letters.join("").toUpperCase();
}

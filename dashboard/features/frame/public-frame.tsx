"use client";

import type { ReactNode } from "react";

import { buttonClass } from "@/components/ui/button";
import { LanguageSelect } from "@/components/ui/language-select";
import { ThemeButton } from "@/components/ui/theme-button";
import { Brand } from "@/features/frame/plain-head";
import { useMessages } from "@/lib/language";
import { useSite } from "@/lib/queries";
import { useTitle } from "@/lib/title";

/** The frame of pages that everybody may read. */
export function PublicFrame({ title, children }: { title: string; children: ReactNode }) {
  const t = useMessages();
  const site = useSite();
  useTitle(title);
  return (
    <div className="pub">
      <a className="skip" href="#main">
        {t.frame.skip}
      </a>
      <header className="ptop">
        <div className="cw row">
          <Brand />
          {site.data && (
            <span className="key st2">
              <i className="dot ok" />
              {t.landing.ready(site.data.version)}
            </span>
          )}
          <nav className="row push gap-1" aria-label={t.frame.main}>
            <a className={`${buttonClass({ look: "ghost" })} hs`} href="/docs">
              {t.frame.documentation}
            </a>
            <a className={`${buttonClass({ look: "ghost" })} hs`} href="/docs/api">
              {t.frame.apiReference}
            </a>
            <LanguageSelect />
            <ThemeButton />
            <a className={buttonClass({ look: "primary" })} href="/dashboard/login">
              {t.landing.signIn}
            </a>
          </nav>
        </div>
      </header>
      <main id="main">{children}</main>
      <footer className="cw pfoot row wrap">
        <span>{site.data ? `${site.data.name} ${site.data.version}` : ""}</span>
        <a href="/docs">{t.frame.documentation}</a>
        <a href="/docs/api">{t.frame.apiReference}</a>
        <a href="/openapi.json">OpenAPI</a>
      </footer>
    </div>
  );
}

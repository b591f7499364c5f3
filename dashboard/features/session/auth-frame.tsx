"use client";

import type { ReactNode } from "react";

import { LanguageSelect } from "@/components/ui/language-select";
import { Mark } from "@/components/ui/mark";
import { ThemeButton } from "@/components/ui/theme-button";
import { BrandName } from "@/features/frame/public-frame";
import { useMessages } from "@/lib/language";
import { useTitle } from "@/lib/title";

interface AuthFrameProps {
  title: string;
  /** The line below the title. */
  text?: ReactNode;
  children: ReactNode;
}

/** The frame of pages with one form for people who are not signed in. */
export function AuthFrame({ title, text, children }: AuthFrameProps) {
  const t = useMessages();
  useTitle(title);
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
            <h1>{title}</h1>
            {text && <p className="t2 mt-1.5">{text}</p>}
          </div>
          {children}
        </div>
      </main>
      <footer className="row wrap">
        <a href="/">{t.signIn.about}</a>
        <a href="/docs">{t.frame.documentation}</a>
      </footer>
    </div>
  );
}

"use client";

import type { ReactNode } from "react";

import { PlainHead } from "@/features/frame/plain-head";
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
      <PlainHead className="px-6 py-[18px]" />
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

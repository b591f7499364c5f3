"use client";

import { clsx } from "clsx";
import type { ReactNode } from "react";

import { LanguageSelect } from "@/components/ui/language-select";
import { Mark } from "@/components/ui/mark";
import { ThemeButton } from "@/components/ui/theme-button";
import { useSite } from "@/lib/queries";

/** The name of the gateway, once it is known. */
export function BrandName() {
  const site = useSite();
  return <b className="semi truncate text-[0.9375rem]">{site.data?.name ?? ""}</b>;
}

/** The mark and the name, which lead to the landing page. */
export function Brand() {
  return (
    <a className="row gap-2.5" href="/">
      <Mark />
      <BrandName />
    </a>
  );
}

/** The head of pages without navigation. */
export function PlainHead({ className, children }: { className?: string; children?: ReactNode }) {
  return (
    <header className={clsx("row", className)}>
      <Brand />
      {children}
      <span className="row push gap-1">
        <LanguageSelect />
        <ThemeButton />
      </span>
    </header>
  );
}

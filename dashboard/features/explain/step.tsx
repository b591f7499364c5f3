"use client";

import { clsx } from "clsx";
import type { ReactNode } from "react";

import { useMessages } from "@/lib/language";

/** One step of an explanation, with its position in the configuration. */
export function Step({ title, place, tone, children }: { title: string; place?: string | null | undefined; tone?: "bad" | undefined; children: ReactNode }) {
  return (
    <li className={clsx(tone)}>
      <div className="row wrap">
        <h3>{title}</h3>
        <Place place={place} />
      </div>
      <div className="step-b">{children}</div>
    </li>
  );
}

/** The position in the configuration: file, line and column. */
export function Place({ place }: { place: string | null | undefined }) {
  const t = useMessages();
  if (!place) return null;
  return <code className="mono t3 sm break-all" title={t.explain.place}>{place}</code>;
}

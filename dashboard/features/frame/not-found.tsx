"use client";

import { buttonClass } from "@/components/ui/button";
import { Empty } from "@/components/ui/states";
import { PublicFrame } from "@/features/frame/public-frame";
import { useMessages } from "@/lib/language";

/** The page of addresses that do not exist. */
export function NotFound() {
  const t = useMessages();
  const home = (
    <a className={buttonClass({ look: "primary" })} href="/">
      {t.notFound.home}
    </a>
  );
  return (
    <PublicFrame title={t.notFound.title}>
      <Empty title={t.notFound.title} action={home}>
        {t.notFound.text}
      </Empty>
    </PublicFrame>
  );
}

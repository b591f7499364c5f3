"use client";

import { useEffect } from "react";

import { useSite } from "@/lib/queries";

/** Sets the title of the document: the page, then the name of the gateway. It replaces that of the exported page, however late it comes. */
export function useTitle(page: string): void {
  const name = useSite().data?.name;
  useEffect(() => {
    const title = name === undefined ? page : `${page} · ${name}`;
    const set = () => {
      if (document.title !== title) document.title = title;
    };
    set();
    const changes = new MutationObserver(set);
    changes.observe(document.head, { childList: true, subtree: true, characterData: true });
    return () => changes.disconnect();
  }, [page, name]);
}

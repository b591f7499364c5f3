"use client";

import { useEffect } from "react";

import { useSite } from "@/lib/queries";

/** Sets the title of the document: the page, then the name of the gateway. */
export function useTitle(page: string): void {
  const name = useSite().data?.name;
  useEffect(() => {
    document.title = name === undefined ? page : `${page} · ${name}`;
  }, [page, name]);
}

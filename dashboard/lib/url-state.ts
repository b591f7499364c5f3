"use client";

import { usePathname, useRouter, useSearchParams } from "next/navigation";
import { useCallback } from "react";

interface UrlState {
  get(name: string): string;
  /** Replaces the values; an empty one is removed. */
  set(changes: Record<string, string>): void;
}

/** Filters, ranges and open ids, which belong into the address so that it can be shared. */
export function useUrlState(): UrlState {
  const router = useRouter();
  const path = usePathname();
  const query = useSearchParams();
  const set = useCallback(
    (changes: Record<string, string>) => {
      const next = new URLSearchParams(query.toString());
      for (const [name, value] of Object.entries(changes)) {
        if (value === "") next.delete(name);
        else next.set(name, value);
      }
      const text = next.toString();
      router.replace(text === "" ? path : `${path}?${text}`, { scroll: false });
    },
    [router, path, query],
  );
  return { get: (name) => query.get(name) ?? "", set };
}

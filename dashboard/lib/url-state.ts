"use client";

import { usePathname, useRouter, useSearchParams } from "next/navigation";
import { useCallback, useEffect } from "react";

interface UrlState {
  get(name: string): string;
  /** Replaces the values; an empty one is removed. */
  set(changes: Record<string, string>): void;
}

/** The address that replaces `shown` but is not drawn yet: a second change within that time is added to the first. */
let pending: { shown: string; query: string } | undefined;

/** Filters, ranges and open ids, which belong into the address so that it can be shared. */
export function useUrlState(): UrlState {
  const router = useRouter();
  const path = usePathname();
  const query = useSearchParams();
  const shown = `${path}?${query.toString()}`;
  useEffect(() => () => { pending = undefined; }, [shown]);
  const set = useCallback(
    (changes: Record<string, string>) => {
      const next = new URLSearchParams(pending?.shown === shown ? pending.query : query.toString());
      for (const [name, value] of Object.entries(changes)) {
        if (value === "") next.delete(name);
        else next.set(name, value);
      }
      pending = { shown, query: next.toString() };
      router.replace(pending.query === "" ? path : `${path}?${pending.query}`, { scroll: false });
    },
    [router, path, query, shown],
  );
  return { get: (name) => query.get(name) ?? "", set };
}

"use client";

import { type Query, type QueryClient, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

/** Milliseconds without a response after which a page says that it waits. */
export const SLOW_MS = 10_000;
const CHECK_MS = 1_000;

/** Whether a request of this page waits for its response for at least 10 s. */
export function useIsWaiting(): boolean {
  const client = useQueryClient();
  const [isWaiting, setWaiting] = useState(false);
  useEffect(() => {
    const since = new Map<Query, number>();
    const check = () => {
      const open = new Set(fetching(client));
      for (const query of since.keys()) if (!open.has(query)) since.delete(query);
      for (const query of open) if (!since.has(query)) since.set(query, Date.now());
      setWaiting([...since.values()].some((start) => Date.now() - start >= SLOW_MS));
    };
    check();
    const timer = setInterval(check, CHECK_MS);
    // Other events are sent while components are drawn.
    const unsubscribe = client.getQueryCache().subscribe(({ type }) => {
      if (type === "updated") check();
    });
    return () => {
      clearInterval(timer);
      unsubscribe();
    };
  }, [client]);
  return isWaiting;
}

/** Ends the open requests. Parts of the page without data then offer to read them again. */
export async function cancelWaiting(client: QueryClient): Promise<void> {
  await client.cancelQueries({ type: "active", fetchStatus: "fetching" }, { revert: false });
}

/** Ends the open requests and sends them again. */
export async function retryWaiting(client: QueryClient): Promise<void> {
  const open = new Set(fetching(client));
  await client.cancelQueries({ predicate: (query) => open.has(query) });
  await client.refetchQueries({ predicate: (query) => open.has(query) });
}

function fetching(client: QueryClient): Query[] {
  return client.getQueryCache().findAll({ type: "active", fetchStatus: "fetching" });
}

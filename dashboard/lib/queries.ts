"use client";

/** The server state that more than one page reads. */

import { type UseQueryResult, useQuery } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";

import { type ApiError, type Schemas, api } from "@/lib/api";

export type Site = Schemas["Site"];
export type Me = Schemas["Me"];
export type Overview = Schemas["Overview"];

/** The brand, the addresses and the way to sign up; public. */
export function useSite(): UseQueryResult<Site, ApiError> {
  const isHydrated = useHydrated();
  const queryKey = isHydrated ? ["site"] : ["site", "hydration"];
  return useQuery({ queryKey, queryFn: ({ signal }) => api("get", "/api/site", { signal }), staleTime: 300_000, enabled: isHydrated });
}

/** Milliseconds for which figures are not read again without a reason. */
const READ_AGAIN_MS = 2_000;

const never = (): (() => void) => () => undefined;

/** False while the component takes over the exported markup, which has nothing of what was fetched meanwhile. */
function useHydrated(): boolean {
  return useSyncExternalStore(never, () => true, () => false);
}

/** The signed-in user; fails with 401 for anybody else. Another tab may have signed in as another user, so each return to the page asks again. */
export function useMe(): UseQueryResult<Me, ApiError> {
  return useQuery({ queryKey: ["me"], queryFn: ({ signal }) => api("get", "/api/me", { signal }), staleTime: 60_000, refetchOnWindowFocus: "always" });
}

const OVERVIEW_MS = 15_000;
const OVERVIEW_LIVE_MS = 60_000;

/** The overview of the reader, or of a scope, which only admins may name. With a stream that reports changes, it is read less often. */
export function useOverview(scope = "", isLive = false): UseQueryResult<Overview, ApiError> {
  return useQuery({
    queryKey: ["overview", scope],
    queryFn: ({ signal }) => api("get", "/api/dashboard/overview", { query: { ...(scope && { scope }) }, signal }),
    refetchInterval: isLive ? OVERVIEW_LIVE_MS : OVERVIEW_MS,
    // Two panels with the same query, and a page that is opened again at once, share one response.
    staleTime: READ_AGAIN_MS,
  });
}

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

const never = (): (() => void) => () => undefined;

/** False while the component takes over the exported markup, which has nothing of what was fetched meanwhile. */
function useHydrated(): boolean {
  return useSyncExternalStore(never, () => true, () => false);
}

/** The signed-in user; fails with 401 for anybody else. Another tab may have signed in as another user, so each return to the page asks again. */
export function useMe(): UseQueryResult<Me, ApiError> {
  return useQuery({ queryKey: ["me"], queryFn: ({ signal }) => api("get", "/api/me", { signal }), staleTime: 60_000, refetchOnWindowFocus: "always" });
}

/** The overview of the reader, or of a scope, which only admins may name. */
export function useOverview(scope = ""): UseQueryResult<Overview, ApiError> {
  return useQuery({
    queryKey: ["overview", scope],
    queryFn: ({ signal }) => api("get", "/api/dashboard/overview", { query: { ...(scope && { scope }) }, signal }),
    refetchInterval: 15_000,
  });
}

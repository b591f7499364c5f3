"use client";

import { type UseQueryResult, useQuery } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";

/** Milliseconds between two looks for the first request, and for the first admin. */
const LIVE_MS = 2_000;
const RECENT = 20;

/** The newest requests of the reader; read again until one has succeeded. */
export function useFirstRequests(): UseQueryResult<Schemas["RequestLine"][], ApiError> {
  return useQuery({
    queryKey: ["setup", "requests"],
    queryFn: async ({ signal }) => (await api("get", "/api/usage/requests", { query: { limit: RECENT }, signal })).items,
    refetchInterval: ({ state }) => (state.data?.some(({ status }) => status < 400) ? false : LIVE_MS),
  });
}

/** Reads the site again until it has an admin. */
export function useAdminWatch(isOn: boolean): void {
  useQuery({ queryKey: ["site"], queryFn: ({ signal }) => api("get", "/api/site", { signal }), enabled: isOn, refetchInterval: LIVE_MS });
}

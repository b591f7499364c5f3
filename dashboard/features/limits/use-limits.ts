"use client";

import { type UseQueryResult, useQuery } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";

export type LimitStates = Schemas["RateLimitStates"];
export type RateLimit = Schemas["RateLimitState"];
export type BusyKey = Schemas["BusyLimitKey"];

/** The rate limits with the keys that are near them, as they are now. */
export function useLimits(): UseQueryResult<LimitStates, ApiError> {
  return useQuery({ queryKey: ["limits"], queryFn: ({ signal }) => api("get", "/api/limits", { signal }), refetchInterval: 3_000 });
}

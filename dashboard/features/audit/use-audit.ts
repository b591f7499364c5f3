"use client";

import { type InfiniteData, type UseInfiniteQueryResult, useInfiniteQuery } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";

export type AuditLine = Schemas["AuditLine"];

export interface AuditFilters {
  action: string;
  /** The id of a user. */
  user: string;
  /** The days to look back; empty for the whole log. */
  days: string;
}

const PAGE = 100;
const DAY_MS = 86_400_000;

/** The audit log, newest first, page by page. */
export function useAudit({ action, user, days }: AuditFilters): UseInfiniteQueryResult<InfiniteData<Schemas["AuditLog"]>, ApiError> {
  return useInfiniteQuery({
    queryKey: ["audit", action, user, days],
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) => {
      // Whole minutes, so that the pages of a list have the same start.
      const since = days === "" ? undefined : new Date(Math.floor((Date.now() - Number(days) * DAY_MS) / 60_000) * 60_000).toISOString();
      const query = { limit: PAGE, ...(pageParam && { cursor: pageParam }), ...(action && { action }), ...(user && { user_id: user }), ...(since && { since }) };
      return api("get", "/api/audit", { query, signal });
    },
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: ({ state }) => ((state.data?.pages.length ?? 0) > 1 ? false : 15_000),
  });
}

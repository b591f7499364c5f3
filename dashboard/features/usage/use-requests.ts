"use client";

import { type InfiniteData, type UseInfiniteQueryResult, type UseQueryResult, useInfiniteQuery, useQuery } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";

export interface Filters {
  status: string;
  key: string;
  model: string;
  /** Empty for the reader's own requests. */
  scope: string;
}

const PAGE = 50;
const LIVE_MS = 5_000;

/** Requests, newest first, page by page. While only the first page is shown, it is read again every few seconds. */
export function useRequests(filters: Filters, isPaused: boolean): UseInfiniteQueryResult<InfiniteData<Schemas["RequestPage"]>, ApiError> {
  return useInfiniteQuery({
    queryKey: ["requests", filters],
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) => {
      const { status, key, model, scope } = filters;
      const query = { limit: PAGE, ...(pageParam && { cursor: pageParam }), ...(status && { status }), ...(key && { key_id: key }), ...(model && { model }), ...(scope && { scope }) };
      return api("get", "/api/usage/requests", { query, signal });
    },
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: ({ state }) => (isPaused || (state.data?.pages.length ?? 0) > 1 ? false : LIVE_MS),
  });
}

export function useRequest(id: string): UseQueryResult<Schemas["RequestDetail"], ApiError> {
  return useQuery({ queryKey: ["request", id], queryFn: ({ signal }) => api("get", "/api/usage/requests/{id}", { path: { id }, signal }), staleTime: 10_000 });
}

"use client";

import { type UseQueryResult, useQuery } from "@tanstack/react-query";

import { type ApiError, type Schemas, api, apiText } from "@/lib/api";
import { type List, useList } from "@/lib/list";

export interface Filters {
  status: string;
  key: string;
  model: string;
  /** `llm`, `route`, or empty for both. */
  kind: string;
  route: string;
  /** Empty for the reader's own requests. */
  scope: string;
}

const PAGE = 50;
const LIVE_MS = 5_000;

/** The filters as parameters of the API. */
function parameters({ status, key, model, kind, route, scope }: Filters): { status?: string; key_id?: string; model?: string; kind?: string; route?: string; scope?: string } {
  return { ...(status && { status }), ...(key && { key_id: key }), ...(model && { model }), ...(kind && { kind }), ...(route && { route }), ...(scope && { scope }) };
}

/** The requests of the list as a table, which the server writes: the newest 10,000. */
export function requestsAsCsv(filters: Filters): Promise<string> {
  return apiText("/api/usage/requests", { query: { ...parameters(filters), format: "csv" } });
}

/** Requests, newest first, page by page. While only the first page is shown, it is read again every few seconds. */
export function useRequests(filters: Filters, isPaused: boolean): List<Schemas["RequestPage"]> {
  return useList({
    queryKey: ["requests", filters],
    read: (cursor, signal) => api("get", "/api/usage/requests", { query: { limit: PAGE, ...cursor, ...parameters(filters) }, signal }),
    liveMs: isPaused ? false : LIVE_MS,
  });
}

export function useRequest(id: string): UseQueryResult<Schemas["RequestDetail"], ApiError> {
  return useQuery({ queryKey: ["request", id], queryFn: ({ signal }) => api("get", "/api/usage/requests/{id}", { path: { id }, signal }), staleTime: 10_000 });
}

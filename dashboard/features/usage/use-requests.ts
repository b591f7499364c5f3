"use client";

import { type UseQueryResult, useQuery } from "@tanstack/react-query";

import type { paths } from "@/generated/openapi";
import { type ApiError, type Schemas, api, apiText } from "@/lib/api";
import { type List, useList } from "@/lib/list";
import { type Period, boundsOf } from "@/lib/period";

export interface Filters {
  status: string;
  key: string;
  model: string;
  /** `llm`, `route`, or empty for both. */
  kind: string;
  route: string;
  /** A part of a name, of the end of a key or of an error code; or a path, which begins with a slash. */
  text: string;
  period: Period;
  /** Empty for the reader's own requests. */
  scope: string;
}

const PAGE = 50;
const LIVE_MS = 5_000;

type Parameters = NonNullable<paths["/api/usage/requests"]["get"]["parameters"]["query"]>;

/** The filters as parameters of the API. */
function parameters({ status, key, model, kind, route, text, period, scope }: Filters): Parameters {
  const search = text.startsWith("/") ? { path: text } : { text };
  return { ...(status && { status }), ...(key && { key_id: key }), ...(model && { model }), ...(kind && { kind }), ...(route && { route }), ...(text && search), ...boundsOf(period, new Date()), ...(scope && { scope }) };
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

"use client";

import { type UseQueryResult, keepPreviousData, useQuery } from "@tanstack/react-query";

import { type Series, type Span, type Step, previousOf, sinceOf, usualRange } from "@/features/usage/series";
import { type ApiError, api, apiText } from "@/lib/api";
import { useNow } from "@/lib/now";
import { useMe } from "@/lib/queries";

/** The pause between two reads: a step of a minute changes more often than a day. */
const REFRESH_MS: Record<Step, number> = { minute: 10_000, hour: 30_000, day: 60_000 };

/** Usage over time; without `by`, of all requests together; `label:team` groups by a label. The last series stays until another range is read. */
export function useSeries({ range, step }: Span, by?: string, scope = ""): UseQueryResult<Series, ApiError> {
  return useQuery({
    queryKey: ["series", range, step, by, scope],
    queryFn: ({ signal }) => api("get", "/api/usage/series", { query: { step, since: since({ range, step }), ...(by && { by }), ...(scope && { scope }) }, signal }),
    refetchInterval: REFRESH_MS[step],
    placeholderData: keepPreviousData,
  });
}

/** The pause between two reads of a period that is over: it moves by a step. */
const BEFORE_MS = 300_000;

/** All usage of the period before, without the step that the running one replaces. */
export function usePrevious({ range, step }: Span, scope = ""): UseQueryResult<Series, ApiError> {
  return useQuery({
    queryKey: ["series", "previous", range, step, scope],
    queryFn: ({ signal }) => api("get", "/api/usage/series", { query: { step, ...previousOf({ range, step }, new Date()), ...(scope && { scope }) }, signal }),
    refetchInterval: BEFORE_MS,
    staleTime: BEFORE_MS,
  });
}

/** The range of the charts until the reader chooses one. */
export function useUsualRange(): ReturnType<typeof usualRange> {
  const now = useNow();
  return usualRange(useMe().data?.user.created_at, now);
}

/** The same series as a table, which the server writes. */
export function seriesAsCsv(span: Span, by: string, scope: string): Promise<string> {
  return apiText("/api/usage/series", { query: { step: span.step, since: since(span), by, format: "csv", ...(scope && { scope }) } });
}

function since(span: Span): string {
  return sinceOf(span, new Date()).toISOString();
}

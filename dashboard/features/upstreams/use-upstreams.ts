"use client";

import { type UseQueryResult, useQuery } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";

export type UpstreamList = Schemas["UpstreamList"];
export type Upstream = Schemas["UpstreamState"];
export type Backend = Schemas["Backend"];

/** The time between two readings, in milliseconds. */
const LIVE_MS = 3_000;

/** A reading of the upstreams, with the requests per second of each backend since the reading before. */
export interface LiveUpstreams {
  list: UpstreamList;
  /** When it was read, in milliseconds. */
  at: number;
  /** By {@link keyOf}; a backend without an earlier reading has no rate. */
  rates: Record<string, number>;
}

/** The upstreams and providers with the state of their backends. */
export function useUpstreams(): UseQueryResult<LiveUpstreams, ApiError> {
  return useQuery({
    queryKey: ["upstreams"],
    queryFn: async ({ client, queryKey, signal }) => {
      const list = await api("get", "/api/upstreams", { signal });
      return withRates(client.getQueryData<LiveUpstreams>(queryKey), list, Date.now());
    },
    refetchInterval: LIVE_MS,
  });
}

/** The name that identifies a backend. */
export function keyOf({ kind, name }: Upstream, { url }: Backend): string {
  return `${kind} ${name} ${url}`;
}

/** Adds the requests per second since the earlier reading. A server that has started again counts from 0. */
export function withRates(earlier: LiveUpstreams | undefined, list: UpstreamList, at: number): LiveUpstreams {
  const before = requestsOf(earlier?.list);
  const seconds = earlier ? (at - earlier.at) / 1_000 : 0;
  const rates: Record<string, number> = {};
  for (const [key, requests] of Object.entries(requestsOf(list))) {
    const more = requests - (before[key] ?? Number.NaN);
    if (seconds > 0 && more >= 0) rates[key] = more / seconds;
  }
  return { list, at, rates };
}

function requestsOf(list: UpstreamList | undefined): Record<string, number> {
  const backends = (list?.items ?? []).flatMap((upstream) => upstream.backends.map((backend) => [keyOf(upstream, backend), backend.requests ?? 0] as const));
  return Object.fromEntries(backends);
}

"use client";

import { type UseQueryResult, useQuery } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";
import { type Counted, type Reading, nextReading } from "@/lib/rates";

export type UpstreamList = Schemas["UpstreamList"];
export type Upstream = Schemas["UpstreamState"];
export type Backend = Schemas["Backend"];

/** The time between two readings, in milliseconds. */
export const LIVE_MS = 3_000;

/** The upstreams and providers with the state of their backends, and the rates of each backend by {@link keyOf}. */
export function useUpstreams(): UseQueryResult<Reading<UpstreamList>, ApiError> {
  return useQuery({
    queryKey: ["upstreams"],
    queryFn: async ({ client, queryKey, signal }) => {
      const list = await api("get", "/api/upstreams", { signal });
      return nextReading(client.getQueryData<Reading<UpstreamList>>(queryKey), list, countedOf(list), Date.now());
    },
    refetchInterval: LIVE_MS,
  });
}

/** The name that identifies a backend. */
export function keyOf(upstream: Upstream, { url, name }: Backend): string {
  return `${upstream.kind} ${upstream.name} ${url} ${name ?? ""}`;
}

function countedOf({ items }: UpstreamList): Record<string, Counted> {
  const backends = items.flatMap((upstream) =>
    upstream.backends.map((backend) => [keyOf(upstream, backend), { requests: backend.requests ?? 0, failed: backend.failed ?? 0 }] as const),
  );
  return Object.fromEntries(backends);
}

/** The backends of an upstream that get requests, without drained ones. */
export interface Health {
  mark: "ok" | "warn" | "bad" | "unknown";
  available: number;
  all: number;
}

/** How many backends of an upstream are available. Before any is used, the health is unknown. */
export function healthOf({ backends }: Upstream): Health {
  const weighted = backends.filter(({ weight }) => weight !== 0);
  const [known, available] = [weighted.filter(({ state }) => state), weighted.filter(({ state }) => !state || state === "available").length];
  const mark = known.length === 0 ? "unknown" : available === weighted.length ? "ok" : available > 0 ? "warn" : "bad";
  return { mark, available, all: weighted.length };
}

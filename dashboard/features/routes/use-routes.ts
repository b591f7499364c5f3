"use client";

import { type UseQueryResult, useQuery } from "@tanstack/react-query";

import { LIVE_MS } from "@/features/upstreams/use-upstreams";
import { type ApiError, type Schemas, api } from "@/lib/api";
import { type Counted, type Reading, nextReading } from "@/lib/rates";

export type RouteList = Schemas["RouteList"];
export type RouteFigures = Schemas["RouteFigures"];

/** The periods of the page, in days that end with today. */
export const PERIODS = ["1", "7", "30"] as const;
export type Period = (typeof PERIODS)[number];

/** The routes in their order, with the requests of the period, and the rates of each route by {@link keyOf}. */
export function useRoutes(period: Period): UseQueryResult<Reading<RouteList>, ApiError> {
  const days = Number(period);
  return useQuery({
    queryKey: ["routes", days],
    queryFn: async ({ client, queryKey, signal }) => {
      const list = await api("get", "/api/routes", { query: { days }, signal });
      return nextReading(client.getQueryData<Reading<RouteList>>(queryKey), list, countedOf(list), Date.now());
    },
    refetchInterval: LIVE_MS,
  });
}

/** The name that identifies a route. */
export function keyOf({ kind, name }: RouteFigures): string {
  return `${kind} ${name}`;
}

function countedOf({ items }: RouteList): Record<string, Counted> {
  return Object.fromEntries(items.flatMap((route) => (route.live ? [[keyOf(route), route.live] as const] : [])));
}

/** All requests of a route: succeeded, refused and failed ones. */
export function requestsOf({ succeeded, refused, errors }: RouteFigures): number {
  return succeeded + refused + errors;
}

/** The address of the list of the requests of a route. */
export function linkOf({ name }: RouteFigures): string {
  return `/dashboard/usage?${new URLSearchParams({ scope: "all", route: name }).toString()}`;
}

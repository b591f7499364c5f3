"use client";

import { type UseQueryResult, useQuery } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";

export type RouteList = Schemas["RouteList"];
export type RouteFigures = Schemas["RouteFigures"];

/** The periods of the page, in days that end with today. */
export const PERIODS = ["1", "7", "30"] as const;
export type Period = (typeof PERIODS)[number];

/** The routes in their order, with the requests of the period. */
export function useRoutes(period: Period): UseQueryResult<RouteList, ApiError> {
  const days = Number(period);
  return useQuery({ queryKey: ["routes", days], queryFn: ({ signal }) => api("get", "/api/routes", { query: { days }, signal }), refetchInterval: 10_000 });
}

/** All requests of a route: succeeded, refused and failed ones. */
export function requestsOf({ succeeded, refused, errors }: RouteFigures): number {
  return succeeded + refused + errors;
}

/** The address of the list of the requests of a route. */
export function linkOf({ name }: RouteFigures): string {
  return `/dashboard/usage?${new URLSearchParams({ scope: "all", route: name }).toString()}`;
}

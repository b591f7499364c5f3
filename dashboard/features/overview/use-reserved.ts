"use client";

import { useQuery } from "@tanstack/react-query";

import { useScope } from "@/features/scope/use-scope";
import { type ApiError, type Schemas, api } from "@/lib/api";
import type { Overview } from "@/lib/queries";

/** Amounts that budgets count beside the spend, in billionths; undefined while they are not known. */
interface Reserved {
  today: number | undefined;
  month: number | undefined;
}

/** A reservation stays for a call of unknown cost; it changes when such a call ends. */
const REFRESH_MS = 60_000;

/** The reservations of today and of the month. Without calls of unknown cost there are none, and nothing is read. */
export function useReserved(overview: Overview | undefined): Reserved {
  const { scope } = useScope();
  const days = overview ? Number(overview.today.date.slice(-2)) : 1;
  const hasUnknown = (overview?.month.unpriced_requests ?? 0) > 0;
  const history = useQuery<Schemas["UsageHistory"], ApiError>({
    queryKey: ["history", days, scope],
    queryFn: ({ signal }) => api("get", "/api/usage/history", { query: { days, ...(scope && { scope }) }, signal }),
    refetchInterval: REFRESH_MS,
    enabled: hasUnknown,
  }).data?.days;
  return { today: reservedOf(history?.slice(-1)), month: reservedOf(history) };
}

/** The difference between what budgets count and the known cost. */
export function reservedOf(days: readonly Schemas["UsageFigures"][] | undefined): number | undefined {
  return days?.reduce((sum, { charged, cost }) => sum + Math.max(0, (charged?.amount_nano ?? cost.amount_nano) - cost.amount_nano), 0);
}

"use client";

import { type UseMutationResult, type UseQueryResult, useMutation, useQueries, useQuery, useQueryClient } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";

export type ReviewStatus = Schemas["ReviewStatus"];
export type Signoff = Schemas["Signoff"];

/** The review of a day; without an id, of the newest complete day. */
export function useReview(id: string): UseQueryResult<ReviewStatus, ApiError> {
  return useQuery({ queryKey: ["review", id], queryFn: ({ signal }) => api("get", "/review/status", { query: { ...(id && { id }) }, signal }) });
}

/** Approves or rejects the figures of a day for a role. */
export function useSignoff(): UseMutationResult<ReviewStatus, ApiError, Signoff> {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body) => api("post", "/review/signoff", { body }),
    onSettled: () => client.invalidateQueries({ queryKey: ["review"] }),
  });
}

/** A day whose figures are not approved, with the figures once they are read. */
export interface OpenDay {
  review: ReviewStatus;
  brief: Schemas["Brief"] | undefined;
}

/** The days before today that are looked at. */
const DAYS = 14;
const DAY_MS = 86_400_000;

/** The last days before today in UTC, the newest first. */
export function daysBefore(now: Date): string[] {
  return Array.from({ length: DAYS }, (_, nth) => new Date(now.getTime() - (nth + 1) * DAY_MS).toISOString().slice(0, "2026-01-01".length));
}

/** The days of the last two weeks that are not approved. Figures are read for these only. */
export function useOpenDays(): { days: OpenDay[]; isPending: boolean; error: ApiError | null } {
  const reviews = useQueries({
    queries: daysBefore(new Date()).map((id) => ({
      queryKey: ["review", id],
      queryFn: ({ signal }: { signal: AbortSignal }): Promise<ReviewStatus> => api("get", "/review/status", { query: { id }, signal }),
      staleTime: 60_000,
    })),
  });
  const open = reviews.flatMap(({ data }) => (data && data.state !== "approved" && data.state !== "collecting" ? [data] : []));
  const briefs = useQueries({
    queries: open.map(({ id, figures_version }) => ({
      queryKey: ["brief", id, figures_version],
      queryFn: ({ signal }: { signal: AbortSignal }): Promise<Schemas["Brief"]> => api("get", "/brief/{id}", { path: { id }, signal }),
      staleTime: 60_000,
    })),
  });
  return {
    days: open.map((review, nth) => ({ review, brief: briefs[nth]?.data })),
    isPending: reviews.some((review) => review.isPending),
    error: (reviews.find((review) => review.error)?.error as ApiError | undefined) ?? null,
  };
}

/** Approves days one after the other. The first one that is refused ends it; those before it are approved. */
export function useApprovals(): UseMutationResult<void, ApiError, readonly Signoff[]> {
  const client = useQueryClient();
  return useMutation({
    mutationFn: async (signoffs) => {
      for (const body of signoffs) await api("post", "/review/signoff", { body });
    },
    onSettled: () => client.invalidateQueries({ queryKey: ["review"] }),
  });
}

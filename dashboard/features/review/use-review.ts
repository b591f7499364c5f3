"use client";

import { type UseMutationResult, type UseQueryResult, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

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

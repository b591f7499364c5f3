"use client";

import {
  type InfiniteData,
  type UseInfiniteQueryResult,
  type UseMutationResult,
  useInfiniteQuery,
  useMutation,
  useQueryClient,
} from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";

const PAGE = 50;

export function useSessions(): UseInfiniteQueryResult<InfiniteData<Schemas["Sessions"]>, ApiError> {
  return useInfiniteQuery({
    queryKey: ["sessions"],
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) => api("get", "/api/sessions", { query: { limit: PAGE, ...(pageParam && { cursor: pageParam }) }, signal }),
    getNextPageParam: (page) => page.next ?? undefined,
    refetchInterval: 60_000,
  });
}

export function useEndSession(): UseMutationResult<undefined, ApiError, string> {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => api("delete", "/api/sessions/{id}", { path: { id } }),
    onSettled: () => client.invalidateQueries({ queryKey: ["sessions"] }),
  });
}

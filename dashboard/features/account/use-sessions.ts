"use client";

import { type UseMutationResult, useMutation, useQueryClient } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";
import { type List, useList } from "@/lib/list";

const PAGE = 50;
const LIVE_MS = 60_000;

export function useSessions(): List<Schemas["Sessions"]> {
  return useList({
    queryKey: ["sessions"],
    read: (cursor, signal) => api("get", "/api/sessions", { query: { limit: PAGE, ...cursor }, signal }),
    liveMs: LIVE_MS,
  });
}

export function useEndSession(): UseMutationResult<undefined, ApiError, string> {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => api("delete", "/api/sessions/{id}", { path: { id } }),
    onSettled: () => client.invalidateQueries({ queryKey: ["sessions"] }),
  });
}

"use client";

import { type UseQueryResult, useQuery } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";

/** The models that the reader may request, in one page. */
export function useModels(): UseQueryResult<Schemas["Models"], ApiError> {
  return useQuery({ queryKey: ["models"], queryFn: ({ signal }) => api("get", "/api/models", { signal }), refetchInterval: 60_000 });
}

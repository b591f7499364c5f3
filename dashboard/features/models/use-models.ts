"use client";

import { type UseQueryResult, useQuery } from "@tanstack/react-query";

import type { Model } from "@/features/models/model-prices";
import { type ApiError, api } from "@/lib/api";

/** The models that the reader may request, in one page. The palette and the playground share this list. */
export function useModels(): UseQueryResult<Model[], ApiError> {
  return useQuery({
    queryKey: ["models"],
    queryFn: async ({ signal }) => (await api("get", "/api/models", { signal })).items,
    staleTime: 60_000,
    refetchInterval: 60_000,
  });
}

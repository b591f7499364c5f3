"use client";

import { type UseMutationResult, type UseQueryResult, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";

export type Plan = Schemas["Plan"];
export type PlanBudget = Schemas["PlanBudget"];

export function usePlans(): UseQueryResult<Plan[], ApiError> {
  return useQuery({ queryKey: ["plans"], queryFn: async ({ signal }) => (await api("get", "/api/plans", { signal })).items });
}

interface Changes {
  create: UseMutationResult<Plan, ApiError, Schemas["NewPlan"]>;
  change: UseMutationResult<Plan, ApiError, { name: string; body: Schemas["PlanChange"] }>;
}

export function usePlanChanges(): Changes {
  const client = useQueryClient();
  const onSuccess = () => {
    for (const queryKey of [["plans"], ["users"], ["overview"]]) void client.invalidateQueries({ queryKey });
  };
  return {
    create: useMutation({ mutationFn: (body: Schemas["NewPlan"]) => api("post", "/api/plans", { body }), onSuccess }),
    change: useMutation({ mutationFn: ({ name, body }) => api("patch", "/api/plans/{name}", { path: { name }, body }), onSuccess }),
  };
}

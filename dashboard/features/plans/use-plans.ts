"use client";

import { type UseMutationResult, type UseQueryResult, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";

export type Plan = Schemas["Plan"];
export type PlanBudget = Schemas["PlanBudget"];
export type PlanLimits = Schemas["PlanLimits"];
export type PlanDifference = Schemas["PlanDifference"];

export function usePlans(isEnabled = true): UseQueryResult<Plan[], ApiError> {
  return useQuery({ enabled: isEnabled, queryKey: ["plans"], queryFn: async ({ signal }) => (await api("get", "/api/plans", { signal })).items });
}

/** The plans of the configuration whose limits differ from those in the store, which apply. */
export function usePlanDifferences(): UseQueryResult<PlanDifference[], ApiError> {
  return useQuery({ queryKey: ["plans", "differences"], queryFn: async ({ signal }) => (await api("get", "/api/config/plans", { signal })).items });
}

interface Changes {
  create: UseMutationResult<Plan, ApiError, Schemas["NewPlan"]>;
  /** Applies these plans of the configuration to the store. */
  apply: UseMutationResult<Schemas["PlanDifferences"], ApiError, string[]>;
  change: UseMutationResult<Plan, ApiError, { name: string; body: Schemas["PlanChange"] }>;
}

export function usePlanChanges(): Changes {
  const client = useQueryClient();
  const onSuccess = () => {
    for (const queryKey of [["plans"], ["users"], ["overview"]]) void client.invalidateQueries({ queryKey });
  };
  return {
    create: useMutation({ mutationFn: (body: Schemas["NewPlan"]) => api("post", "/api/plans", { body }), onSuccess }),
    apply: useMutation({ mutationFn: (names) => api("post", "/api/config/plans", { body: { names } }), onSuccess }),
    change: useMutation({ mutationFn: ({ name, body }) => api("patch", "/api/plans/{name}", { path: { name }, body }), onSuccess }),
  };
}

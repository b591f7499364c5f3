"use client";

import { type UseMutationResult, type UseQueryResult, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";

export type Budget = Schemas["Budget"];

const PAGE = 200;
/** The list ends after 5,000 budgets, with a sentence that says so. */
const PAGES_MAX = 25;

interface BudgetList {
  items: Budget[];
  isCut: boolean;
}

export function useBudgets(): UseQueryResult<BudgetList, ApiError> {
  return useQuery({
    queryKey: ["budgets"],
    queryFn: async ({ signal }) => {
      const items: Budget[] = [];
      let cursor: string | null | undefined;
      for (let page = 0; page < PAGES_MAX && cursor !== null; page += 1) {
        const answer: Schemas["Budgets"] = await api("get", "/api/budgets", { query: { limit: PAGE, ...(cursor && { cursor }) }, signal });
        items.push(...answer.items);
        cursor = answer.next ?? null;
      }
      return { items, isCut: cursor !== null };
    },
    refetchInterval: 60_000,
  });
}

export interface BudgetPath {
  dimension: Schemas["BudgetDimension"];
  id: string;
  measure: "money" | "credits" | "tokens";
  /** `day`, `week` or `month`, or a window of a user. */
  per: string;
}

interface Changes {
  set: UseMutationResult<Budget, ApiError, { path: BudgetPath; body: Schemas["NewBudget"] }>;
  remove: UseMutationResult<undefined, ApiError, BudgetPath>;
}

export function useBudgetChanges(): Changes {
  const client = useQueryClient();
  const onSuccess = () => {
    for (const queryKey of [["budgets"], ["users"], ["overview"]]) void client.invalidateQueries({ queryKey });
  };
  return {
    set: useMutation({ mutationFn: ({ path, body }) => api("put", "/api/budgets/{dimension}/{id}/{measure}/{per}", { path, body }), onSuccess }),
    remove: useMutation({ mutationFn: (path: BudgetPath) => api("delete", "/api/budgets/{dimension}/{id}/{measure}/{per}", { path }), onSuccess }),
  };
}

"use client";

import { type UseMutationResult, useMutation } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";

export type Explanation = Schemas["ExplainedRequestState"];
export type Authentication = Explanation["authentication"] & object;
export type ExplainedBudget = Schemas["ExplainedBudget"];
export type LimitState = Schemas["LimitState"];

/** Explains a request. It may contain a credential, so neither it nor the result is kept after the page. */
export function useExplanation(): UseMutationResult<Explanation, ApiError, Schemas["ExplainRequest"]> {
  return useMutation({ mutationFn: (body) => api("post", "/api/explain", { body }), gcTime: 0 });
}

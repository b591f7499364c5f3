"use client";

import { type UseMutationResult, useMutation } from "@tanstack/react-query";

import { ApiError, type Schemas, api } from "@/lib/api";

export type Explanation = Schemas["ExplainedRequestState"];
export type Authentication = Explanation["authentication"] & object;
export type ExplainedBudget = Schemas["ExplainedBudget"];
export type LimitState = Schemas["LimitState"];

export interface Question {
  request: Schemas["ExplainRequest"];
  /** The key in the request, if its id is not given. */
  secret: string | undefined;
}

interface Answer {
  explanation: Explanation;
  /** Why the key in the request is not accepted. */
  keyProblem: string | undefined;
}

/** Explains a request. It may contain a credential, so neither it nor the result is kept after the page. */
export function useExplanation(): UseMutationResult<Answer, ApiError, Question> {
  return useMutation({
    mutationFn: async ({ request, secret }) => {
      const key = secret === undefined ? {} : await keyOf(secret);
      const body = key.id === undefined ? request : { ...request, as: key.id };
      return { explanation: await api("post", "/api/explain", { body }), keyProblem: key.problem };
    },
    gcTime: 0,
  });
}

/** The id of a key. A refused key is no refused session, so the error ends here. */
async function keyOf(token: string): Promise<{ id?: string; problem?: string }> {
  try {
    return { id: (await api("post", "/api/auth/validate", { body: { token } })).key.id };
  } catch (error) {
    if (error instanceof ApiError && error.status >= 400 && error.status < 500) return { problem: error.message };
    throw error;
  }
}

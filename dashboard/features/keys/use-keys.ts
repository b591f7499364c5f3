"use client";

import { type UseMutationResult, type UseQueryResult, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import type { BudgetChange } from "@/features/keys/key-form";
import { ApiError, type Schemas, api } from "@/lib/api";
import type { ApiKey } from "@/features/keys/key-state";
import { repeatHeaders } from "@/lib/repeats";

/** A user has at most 1,000 keys; a page has at most 200. */
const PAGE = 200;
const PAGES_MAX = 10;

export function useKeys(): UseQueryResult<ApiKey[], ApiError> {
  return useQuery({
    queryKey: ["keys", "list"],
    queryFn: async ({ signal }) => {
      const keys: ApiKey[] = [];
      let cursor: string | null | undefined;
      for (let page = 0; page < PAGES_MAX && cursor !== null; page += 1) {
        const query = cursor === undefined ? { revoked: true, limit: PAGE } : { revoked: true, limit: PAGE, cursor };
        const answer: Schemas["ApiKeys"] = await api("get", "/api/keys", { query, signal });
        keys.push(...answer.items);
        cursor = answer.next ?? null;
      }
      return keys;
    },
    refetchInterval: 60_000,
  });
}

/** One key with its user and its use; 404 if it does not exist or the reader may not see it. */
export function useKey(id: string, isEnabled = true): UseQueryResult<Schemas["ApiKeyDetail"], ApiError> {
  return useQuery({ queryKey: ["keys", "one", id], enabled: isEnabled, queryFn: ({ signal }) => api("get", "/api/keys/{id}", { path: { id }, signal }) });
}

/**
 * Finds keys of all users. A pasted key is in the body of the request only: browsers hash only on pages over TLS. The result
 * is not cached, so that no key stays in memory.
 */
export function useKeyLookup(): UseMutationResult<Schemas["ApiKeyLookupResult"], ApiError, Schemas["ApiKeyLookup"]> {
  return useMutation({ mutationFn: (body: Schemas["ApiKeyLookup"]) => api("post", "/api/keys/lookup", { body }), gcTime: 0 });
}

/** The budgets that apply to a key: its own, and those of its user, plan and all users. */
export function useKeyBudgets({ id, user_id }: ApiKey): UseQueryResult<Schemas["Budget"][], ApiError> {
  return useQuery({
    queryKey: ["key-budgets", id],
    queryFn: async ({ signal }) => (await api("get", "/api/usage/today", { query: { key_id: id, user_id }, signal })).budgets,
    // An open form keeps the text of its reader. The next form reads the limits again.
    staleTime: 0,
    gcTime: 0,
    refetchOnWindowFocus: false,
  });
}

/** Another person may have removed the budget before. */
function ignoreMissing(error: unknown): void {
  if (!(error instanceof ApiError) || error.status !== 404) throw error;
}

interface Changes {
  create: UseMutationResult<Schemas["ApiKeyWithSecret"], ApiError, Schemas["NewApiKey"]>;
  edit: UseMutationResult<ApiKey, ApiError, { id: string; change: Schemas["ApiKeyChange"] }>;
  /** Sets and removes budgets of a key, one after the other; the first refused one ends it. */
  budget: UseMutationResult<void, ApiError, { id: string; changes: readonly BudgetChange[] }>;
  rotate: UseMutationResult<Schemas["ApiKeyWithSecret"], ApiError, { id: string; grace: string | undefined }>;
  revoke: UseMutationResult<undefined, ApiError, string>;
}

/** The changes of keys; after each, the lists are read again. */
export function useKeyChanges(): Changes {
  const client = useQueryClient();
  // Each opened dialog has its own.
  const [headersOf] = useState(repeatHeaders);
  const onSuccess = () => {
    void client.invalidateQueries({ queryKey: ["keys"] });
    void client.invalidateQueries({ queryKey: ["overview"] });
  };
  return {
    create: useMutation({ mutationFn: (body: Schemas["NewApiKey"]) => api("post", "/api/keys", { body, headers: headersOf(body) }), onSuccess }),
    edit: useMutation({ mutationFn: ({ id, change }) => api("patch", "/api/keys/{id}", { path: { id }, body: change }), onSuccess }),
    budget: useMutation({
      mutationFn: async ({ id, changes }) => {
        for (const { measure, per, body } of changes) {
          const path = { dimension: "key" as const, id, measure, per };
          if (body) await api("put", "/api/budgets/{dimension}/{id}/{measure}/{per}", { path, body });
          else await api("delete", "/api/budgets/{dimension}/{id}/{measure}/{per}", { path }).catch(ignoreMissing);
        }
      },
      onSettled: (_data, _error, { id }) => {
        void client.invalidateQueries({ queryKey: ["key-budgets", id] });
        onSuccess();
      },
    }),
    rotate: useMutation({
      mutationFn: (rotation) => {
        const { id, grace } = rotation;
        const body = grace === undefined ? {} : { grace };
        return api("post", "/api/keys/{id}/rotate", { path: { id }, body, headers: headersOf(rotation) });
      },
      onSuccess,
    }),
    revoke: useMutation({ mutationFn: (id: string) => api("delete", "/api/keys/{id}", { path: { id } }), onSuccess }),
  };
}

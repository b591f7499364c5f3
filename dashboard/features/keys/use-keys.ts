"use client";

import { type UseMutationResult, type UseQueryResult, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";
import type { ApiKey } from "@/features/keys/key-state";

/** A user has at most 1,000 keys; a page has at most 200. */
const PAGE = 200;
const PAGES_MAX = 10;

export function useKeys(): UseQueryResult<ApiKey[], ApiError> {
  return useQuery({
    queryKey: ["keys"],
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

interface Changes {
  create: UseMutationResult<Schemas["ApiKeyWithSecret"], ApiError, Schemas["NewApiKey"]>;
  rename: UseMutationResult<ApiKey, ApiError, { id: string; label: string }>;
  rotate: UseMutationResult<Schemas["ApiKeyWithSecret"], ApiError, { id: string; grace: string | undefined }>;
  revoke: UseMutationResult<undefined, ApiError, string>;
}

/** The changes of keys; after each, the lists are read again. */
export function useKeyChanges(): Changes {
  const client = useQueryClient();
  const onSuccess = () => {
    void client.invalidateQueries({ queryKey: ["keys"] });
    void client.invalidateQueries({ queryKey: ["overview"] });
  };
  return {
    create: useMutation({ mutationFn: (body: Schemas["NewApiKey"]) => api("post", "/api/keys", { body }), onSuccess }),
    rename: useMutation({ mutationFn: ({ id, label }) => api("patch", "/api/keys/{id}", { path: { id }, body: { label } }), onSuccess }),
    rotate: useMutation({
      mutationFn: ({ id, grace }) => api("post", "/api/keys/{id}/rotate", { path: { id }, body: grace === undefined ? {} : { grace } }),
      onSuccess,
    }),
    revoke: useMutation({ mutationFn: (id: string) => api("delete", "/api/keys/{id}", { path: { id } }), onSuccess }),
  };
}

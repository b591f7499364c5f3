"use client";

import { type UseMutationResult, type UseQueryResult, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";
import { useMe } from "@/lib/queries";

export type Credential = Schemas["ProviderKey"];

export function useProviders(): UseQueryResult<Schemas["Providers"], ApiError> {
  return useQuery({ queryKey: ["providers"], queryFn: ({ signal }) => api("get", "/api/providers", { signal }), refetchInterval: 15_000 });
}

export function useIsAdmin(): boolean {
  return useMe().data?.acts_as === "admin";
}

/** The reader's own credentials; for admins, the shared ones before them. */
export function useCredentials(): UseQueryResult<Credential[], ApiError> {
  const me = useMe();
  const isAdmin = useIsAdmin();
  return useQuery({
    queryKey: ["credentials", isAdmin],
    enabled: me.isSuccess,
    queryFn: async ({ signal }) => {
      const list = (shared: boolean) => api("get", "/api/provider-keys", { query: { shared }, signal });
      const pages = await Promise.all(isAdmin ? [list(true), list(false)] : [list(false)]);
      return pages.flatMap(({ items }) => items);
    },
    refetchInterval: 60_000,
  });
}

interface Changes {
  create: UseMutationResult<Credential, ApiError, Schemas["NewProviderKey"]>;
  change: UseMutationResult<Credential, ApiError, { id: string; body: Schemas["ProviderKeyChange"] }>;
  remove: UseMutationResult<undefined, ApiError, string>;
}

/**
 * The changes of credentials; after each, the lists are read again. A finished change is forgotten at once (`gcTime`),
 * because a secret is among its variables.
 */
export function useCredentialChanges(): Changes {
  const client = useQueryClient();
  const onSuccess = () => Promise.all(["credentials", "providers", "models"].map((name) => client.invalidateQueries({ queryKey: [name] })));
  const options = { gcTime: 0, onSuccess: () => void onSuccess() };
  return {
    create: useMutation({ mutationFn: (body: Schemas["NewProviderKey"]) => api("post", "/api/provider-keys", { body }), ...options }),
    change: useMutation({ mutationFn: ({ id, body }) => api("patch", "/api/provider-keys/{id}", { path: { id }, body }), ...options }),
    remove: useMutation({ mutationFn: (id: string) => api("delete", "/api/provider-keys/{id}", { path: { id } }), ...options }),
  };
}

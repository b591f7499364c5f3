"use client";

import { type UseMutationResult, type UseQueryResult, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";

export type Configuration = Schemas["Configuration"];
export type ConfigurationChanges = Schemas["ConfigurationChanges"];
export type ConfigurationEntry = Schemas["ConfigurationEntry"];

/** The configuration in force. Another admin or the file may change it. */
export function useConfiguration(): UseQueryResult<Configuration, ApiError> {
  return useQuery({ queryKey: ["configuration"], queryFn: ({ signal }) => api("get", "/api/config", { signal }), refetchInterval: 15_000 });
}

export function useConfigurationHistory(): UseQueryResult<ConfigurationEntry[], ApiError> {
  return useQuery({
    queryKey: ["configuration", "history"],
    queryFn: async ({ signal }) => (await api("get", "/api/config/history", { signal })).items,
    refetchInterval: 15_000,
  });
}

/** An entry of the history with its text, which never changes. */
export function useConfigurationEntry(id: string): UseQueryResult<Schemas["StoredConfiguration"], ApiError> {
  return useQuery({ queryKey: ["configuration", "entry", id], queryFn: ({ signal }) => api("get", "/api/config/history/{id}", { path: { id }, signal }), staleTime: Number.POSITIVE_INFINITY });
}

/** A change that is made only over the configuration with this digest. */
interface Over<Value> {
  value: Value;
  digest: string;
}

interface Changes {
  validate: UseMutationResult<ConfigurationChanges, ApiError, string>;
  apply: UseMutationResult<ConfigurationChanges, ApiError, Over<string>>;
  rollBack: UseMutationResult<ConfigurationChanges, ApiError, Over<string>>;
}

export function useConfigurationChanges(): Changes {
  const client = useQueryClient();
  // Limits, plans and registration follow from the configuration.
  const onSuccess = () => {
    for (const queryKey of [["configuration"], ["limits"], ["plans"], ["site"]]) void client.invalidateQueries({ queryKey });
  };
  // Another configuration may be in force, which a conflict reports.
  const onError = () => void client.invalidateQueries({ queryKey: ["configuration"] });
  const over = (digest: string) => ({ "If-Match": `"${digest}"` });
  return {
    validate: useMutation({ mutationFn: (yaml) => api("post", "/api/config/validate", { body: { yaml } }) }),
    apply: useMutation({ mutationFn: ({ value, digest }) => api("post", "/api/config", { body: { yaml: value }, headers: over(digest) }), onSuccess, onError }),
    rollBack: useMutation({ mutationFn: ({ value, digest }) => api("post", "/api/config/rollback", { body: { id: value }, headers: over(digest) }), onSuccess, onError }),
  };
}

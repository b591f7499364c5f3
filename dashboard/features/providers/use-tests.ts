"use client";

import { useCallback, useState } from "react";
import { useMutation } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";

/** The last test of a credential since the page was opened; the server does not store it. */
export type CredentialTest = { state: "running" } | { state: "done"; result: Schemas["ProviderKeyTest"]; at: Date } | { state: "failed"; error: ApiError };

interface Tests {
  results: ReadonlyMap<string, CredentialTest>;
  isRunning: boolean;
  /** Tests credentials one after the other, so that the server does not refuse too many at a time. */
  run(ids: readonly string[]): void;
}

export function useTests(): Tests {
  const [results, setResults] = useState<ReadonlyMap<string, CredentialTest>>(new Map());
  const { mutateAsync } = useMutation<Schemas["ProviderKeyTest"], ApiError, string>({
    mutationFn: (id) => api("post", "/api/provider-keys/{id}/test", { path: { id } }),
  });
  const each = useCallback(
    async (ids: readonly string[]) => {
      const put = (id: string, test: CredentialTest) => setResults((before) => new Map(before).set(id, test));
      ids.forEach((id) => put(id, { state: "running" }));
      for (const id of ids) {
        await mutateAsync(id).then(
          (result) => put(id, { state: "done", result, at: new Date() }),
          (error: ApiError) => put(id, { state: "failed", error }),
        );
      }
    },
    [mutateAsync],
  );
  const run = useCallback((ids: readonly string[]) => void each(ids), [each]);
  const isRunning = [...results.values()].some(({ state }) => state === "running");
  return { results, isRunning, run };
}

"use client";

import { useMe } from "@/lib/queries";
import { useUrlState } from "@/lib/url-state";

export interface ScopeState {
  /** The `scope` of requests to the API; empty for the reader's own usage. */
  scope: string;
  /** Whether the reader may choose another scope. */
  isAdmin: boolean;
  choose(scope: string): void;
}

const MINE = "me";
const ALL = "all";

/** The scope that the address names. Admins see all users unless they choose another scope; members see themselves. */
export function useScope(): ScopeState {
  const { get, set } = useUrlState();
  const isAdmin = useMe().data?.acts_as === "admin";
  const named = get("scope") || ALL;
  return {
    scope: isAdmin && named !== MINE ? named : "",
    isAdmin,
    choose: (scope) => set({ scope: scope === ALL ? "" : scope === "" ? MINE : scope, key: "", id: "" }),
  };
}

/** Whether a scope has several users. */
export function isWide(scope: string): boolean {
  return scope === ALL || scope.startsWith("plan:");
}

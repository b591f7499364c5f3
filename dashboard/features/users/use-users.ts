"use client";

import {
  type UseMutationResult,
  type UseQueryResult,
  useMutation,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";
import { type List, useList } from "@/lib/list";

export type User = Schemas["Account"] & Partial<Pick<Schemas["ListedUser"], "month" | "last_used_at">> & { grants?: Schemas["Grant"][] };
export type UserDetail = Schemas["UserDetail"];
export type Invite = Schemas["Invite"];

const PAGE = 200;

/** Users, oldest first, page by page. */
export function useUsers(status: "" | "active" | "suspended", isEnabled = true): List<Schemas["Users"]> {
  return useList({
    isEnabled,
    queryKey: ["users", "list", status],
    read: (cursor, signal) => api("get", "/api/users", { query: { limit: PAGE, ...cursor, ...(status && { status }) }, signal }),
  });
}

interface EmailQuery {
  queryKey: string[];
  queryFn(): Promise<User | null>;
}

/** Looks up the user with this address; null if none exists. */
export function userByEmail(email: string): EmailQuery {
  return {
    queryKey: ["users", "email", email],
    queryFn: async () => (await api("get", "/api/users", { query: { email } })).items[0] ?? null,
  };
}

/** The user with this address, who may be on a page that is not loaded. Incomplete addresses are not looked up. */
export function useUserByEmail(email: string): UseQueryResult<User | null, ApiError> {
  return useQuery({ ...userByEmail(email), enabled: /^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(email) });
}

export function useUser(id: string): UseQueryResult<UserDetail, ApiError> {
  return useQuery({ queryKey: ["users", "one", id], queryFn: ({ signal }) => api("get", "/api/users/{id}", { path: { id }, signal }) });
}

/** Quota, budgets and figures of a user. */
export function useUserOverview(id: string): UseQueryResult<Schemas["Overview"], ApiError> {
  return useQuery({
    queryKey: ["users", "overview", id],
    queryFn: ({ signal }) => api("get", "/api/dashboard/overview", { query: { user_id: id }, signal }),
    refetchInterval: 30_000,
  });
}

interface KeysQuery {
  queryKey: string[];
  queryFn(context: { signal: AbortSignal }): Promise<Schemas["ApiKeys"]>;
}

/** Reads the newest keys of a user, also the revoked ones. */
export function userKeys(id: string): KeysQuery {
  return {
    queryKey: ["users", "keys", id],
    queryFn: ({ signal }) => api("get", "/api/users/{id}/keys", { path: { id }, query: { limit: PAGE, revoked: true }, signal }),
  };
}

export function useUserKeys(id: string): UseQueryResult<Schemas["ApiKeys"], ApiError> {
  return useQuery({ ...userKeys(id), enabled: id !== "" });
}

export function useInvites(): List<Schemas["Invites"]> {
  return useList({
    queryKey: ["invites"],
    read: (cursor, signal) => api("get", "/api/invites", { query: { limit: PAGE, ...cursor }, signal }),
  });
}

interface Changes {
  create: UseMutationResult<Schemas["CreatedUser"], ApiError, Schemas["NewUser"]>;
  change: UseMutationResult<User, ApiError, { id: string; body: Schemas["UserChange"] }>;
  passwordLink: UseMutationResult<Schemas["PasswordLink"], ApiError, string>;
  endSessions: UseMutationResult<undefined, ApiError, string>;
  invite: UseMutationResult<Schemas["NewInvite"], ApiError, Schemas["InviteRequest"]>;
  revokeInvite: UseMutationResult<undefined, ApiError, string>;
}

/** The changes of users and invitations; after each, the lists are read again. */
export function useUserChanges(): Changes {
  const client = useQueryClient();
  const onUsers = () => {
    void client.invalidateQueries({ queryKey: ["users"] });
    void client.invalidateQueries({ queryKey: ["me"] });
  };
  const onInvites = () => void client.invalidateQueries({ queryKey: ["invites"] });
  return {
    create: useMutation({ mutationFn: (body: Schemas["NewUser"]) => api("post", "/api/users", { body }), onSuccess: onUsers }),
    change: useMutation({ mutationFn: ({ id, body }) => api("patch", "/api/users/{id}", { path: { id }, body }), onSuccess: onUsers }),
    passwordLink: useMutation({ mutationFn: (id: string) => api("post", "/api/users/{id}/password-link", { path: { id } }) }),
    endSessions: useMutation({ mutationFn: (id: string) => api("delete", "/api/users/{id}/sessions", { path: { id } }) }),
    invite: useMutation({ mutationFn: (body: Schemas["InviteRequest"]) => api("post", "/api/invites", { body }), onSuccess: onInvites }),
    revokeInvite: useMutation({ mutationFn: (id: string) => api("delete", "/api/invites/{id}", { path: { id } }), onSettled: onInvites }),
  };
}

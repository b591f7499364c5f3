"use client";

import { type UseMutationResult, type UseQueryResult, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { ApiError, type Schemas, api } from "@/lib/api";
import { type List, useList } from "@/lib/list";

export type Subscription = Schemas["Subscription"];
export type Invoice = Schemas["Invoice"];
export type Payment = Schemas["Payment"];
export type Wallet = Schemas["Wallet"];
export type ChangePreview = Schemas["ChangePreview"];

/** Milliseconds after which a page reads an invoice again whose payment it follows. */
export const FOLLOW_MS = 5_000;
const PAGE = 50;

/** The subscription of the reader; null without one. */
export function useSubscription(): UseQueryResult<Subscription | null, ApiError> {
  return useQuery({
    queryKey: ["billing", "subscription"],
    queryFn: ({ signal }) => api("get", "/api/subscription", { signal }).catch((error: unknown) => {
      if (error instanceof ApiError && error.code === "not_found") return null;
      throw error;
    }),
    refetchInterval: 15_000,
  });
}

/** The invoices of the reader, newest first, page by page. An empty state means all. */
export function useInvoices(state: Schemas["Invoice"]["state"] | ""): List<Schemas["Invoices"]> {
  return useList({
    queryKey: ["billing", "invoices", state],
    read: (cursor, signal) => api("get", "/api/invoices", { query: { limit: PAGE, ...cursor, ...(state && { state }) }, signal }),
  });
}

/** An invoice with its lines and payments. While it is followed, it is read again every few seconds until it is not open. */
export function useInvoice(id: string, isFollowed = false): UseQueryResult<Invoice, ApiError> {
  return useQuery({
    queryKey: ["billing", "invoice", id],
    queryFn: ({ signal }) => api("get", "/api/invoices/{id}", { path: { id }, signal }),
    enabled: id !== "",
    refetchInterval: ({ state }) => (isFollowed && (state.data?.state ?? "open") === "open" ? FOLLOW_MS : false),
  });
}

/** The wallet of the reader, with its newest entries. */
export function useWallet(): UseQueryResult<Wallet, ApiError> {
  return useQuery({ queryKey: ["billing", "wallet"], queryFn: ({ signal }) => api("get", "/api/wallet", { query: { limit: 20 }, signal }) });
}

/** The invoice that a change to a plan would have, and the day on which the plan would begin. Nothing is stored. */
export function useChangePreview(plan: string): UseQueryResult<ChangePreview, ApiError> {
  return useQuery({ queryKey: ["billing", "preview", plan], queryFn: ({ signal }) => api("post", "/api/subscription/preview", { body: { plan }, signal }), staleTime: 0 });
}

interface SubscriptionChanges {
  /** Subscribes the reader to a plan by its name. */
  subscribe: UseMutationResult<Subscription, ApiError, string>;
  /** Changes to another plan by its name; the present one takes a planned change back. */
  change: UseMutationResult<Subscription, ApiError, string>;
  /** Ends the subscription with its period, or now. */
  cancel: UseMutationResult<Subscription, ApiError, "end" | "now">;
  /** Takes the end with the period back. */
  resume: UseMutationResult<Subscription, ApiError, void>;
}

export function useSubscriptionChanges(): SubscriptionChanges {
  const client = useQueryClient();
  const onSettled = () => {
    for (const queryKey of [["billing"], ["me"], ["overview"]]) void client.invalidateQueries({ queryKey });
  };
  return {
    subscribe: useMutation({ mutationFn: (plan) => api("post", "/api/subscription", { body: { plan } }), onSettled }),
    change: useMutation({ mutationFn: (plan) => api("post", "/api/subscription/change", { body: { plan } }), onSettled }),
    cancel: useMutation({ mutationFn: (at) => api("post", "/api/subscription/cancel", { body: { at } }), onSettled }),
    resume: useMutation({ mutationFn: () => api("post", "/api/subscription/resume"), onSettled }),
  };
}

"use client";

import { type UseMutationResult, type UseQueryResult, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";

import { type ApiError, type Schemas, api } from "@/lib/api";
import { type List, useList } from "@/lib/list";

export type Webhook = Schemas["Webhook"];
export type WebhookDelivery = Schemas["WebhookDelivery"];

const PAGE = 50;
/** Milliseconds after which deliveries that are shown are read again. */
const AGAIN_MS = 5_000;
/** Milliseconds after which the states of webhooks are read again. */
const STATES_MS = 30_000;

/** All webhooks, from the oldest. */
export function useWebhooks(): UseQueryResult<Webhook[], ApiError> {
  return useQuery({ queryKey: ["webhooks"], refetchInterval: STATES_MS, queryFn: async ({ signal }) => (await api("get", "/api/webhooks", { signal })).items });
}

/** The deliveries of a webhook, newest first, page by page. An empty state means all. */
export function useDeliveries(id: string, state: Schemas["WebhookDelivery"]["state"] | ""): List<Schemas["WebhookDeliveries"]> {
  return useList({
    queryKey: ["webhooks", id, "deliveries", state],
    read: (cursor, signal) => api("get", "/api/webhooks/{id}/deliveries", { path: { id }, query: { limit: PAGE, ...cursor, ...(state && { state }) }, signal }),
    liveMs: AGAIN_MS,
  });
}

interface WebhookActions {
  create: UseMutationResult<Webhook, ApiError, { url: string; events: string[] }>;
  change: UseMutationResult<Webhook, ApiError, { id: string; url?: string; events?: string[]; enabled?: boolean }>;
  /** Replaces the secret. */
  rotate: UseMutationResult<Webhook, ApiError, string>;
  remove: UseMutationResult<undefined, ApiError, string>;
}

/** Sends a test event to a webhook; its delivery has the result. */
export function useTestEvent(id: string): UseMutationResult<WebhookDelivery, ApiError, void> {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => api("post", "/api/webhooks/{id}/test", { path: { id } }),
    onSettled: () => client.invalidateQueries({ queryKey: ["webhooks", id] }),
  });
}

/** What finance does with webhooks. A secret is in the response only, and is not cached. */
export function useWebhookActions(): WebhookActions {
  const client = useQueryClient();
  // The list alone: the deliveries of a removed webhook no longer exist.
  const onSettled = () => void client.invalidateQueries({ queryKey: ["webhooks"], exact: true });
  return {
    create: useMutation({ gcTime: 0, mutationFn: (body) => api("post", "/api/webhooks", { body }), onSettled }),
    change: useMutation({ mutationFn: ({ id, ...body }) => api("patch", "/api/webhooks/{id}", { path: { id }, body }), onSettled }),
    rotate: useMutation({ gcTime: 0, mutationFn: (id) => api("post", "/api/webhooks/{id}/rotate", { path: { id } }), onSettled }),
    remove: useMutation({ mutationFn: (id) => api("delete", "/api/webhooks/{id}", { path: { id } }), onSettled }),
  };
}

interface Replays {
  /** Sends one delivery again. */
  one: UseMutationResult<WebhookDelivery, ApiError, string>;
  /** Sends the failed deliveries since a time again. */
  failed: UseMutationResult<Schemas["WebhookReplay"], ApiError, Date>;
}

/** Sends deliveries of a webhook again. */
export function useReplays(id: string): Replays {
  const client = useQueryClient();
  const onSettled = () => void client.invalidateQueries({ queryKey: ["webhooks", id] });
  return {
    one: useMutation({ mutationFn: (delivery) => api("post", "/api/webhooks/{id}/deliveries/{delivery_id}/replay", { path: { id, delivery_id: delivery } }), onSettled }),
    failed: useMutation({ mutationFn: (since) => api("post", "/api/webhooks/{id}/replay", { path: { id }, body: { since: since.toISOString() } }), onSettled }),
  };
}

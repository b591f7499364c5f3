"use client";

import { type Schemas, api, apiText } from "@/lib/api";
import { type List, useList } from "@/lib/list";

export type AuditLine = Schemas["AuditLine"];

export interface AuditFilters {
  action: string;
  /** The id of the user whom changes concern. */
  user: string;
  /** The id of the user who made the changes. */
  actor: string;
  /** The days to look back; empty for the whole log. */
  days: string;
}

const PAGE = 100;
const LIVE_MS = 15_000;
const DAY_MS = 86_400_000;

/** The filters as parameters of the API. Whole minutes, so that the pages of a list have the same start. */
function parameters({ action, user, actor, days }: AuditFilters): { action?: string; user_id?: string; actor_user_id?: string; since?: string } {
  const since = days === "" ? "" : new Date(Math.floor((Date.now() - Number(days) * DAY_MS) / 60_000) * 60_000).toISOString();
  return { ...(action && { action }), ...(user && { user_id: user }), ...(actor && { actor_user_id: actor }), ...(since && { since }) };
}

/** The log as a table, which the server writes: the newest 10,000 lines. */
export function auditAsCsv(filters: AuditFilters): Promise<string> {
  return apiText("/api/audit", { query: { ...parameters(filters), format: "csv" } });
}

/** The audit log, newest first, page by page. */
export function useAudit(filters: AuditFilters): List<Schemas["AuditLog"]> {
  return useList({
    queryKey: ["audit", filters.action, filters.user, filters.actor, filters.days],
    read: (cursor, signal) => api("get", "/api/audit", { query: { limit: PAGE, ...cursor, ...parameters(filters) }, signal }),
    liveMs: LIVE_MS,
  });
}

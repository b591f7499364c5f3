import { differenceInDays } from "date-fns/differenceInDays";

import type { Schemas } from "@/lib/api";
import type { Format } from "@/lib/format";
import type { Messages } from "@/messages/en";

export type ApiKey = Schemas["ApiKey"];

/** What a reader must know about a key first. */
export type KeyState = "active" | "revoked" | "expired" | "ending" | "rotating" | "used-up";

/** Days before its expiry from which a key is shown as ending. */
const ENDING_DAYS = 3;

export interface KeyUse {
  /** Credits that the key used today. */
  credits: number;
}

export function stateOf(key: ApiKey, now: Date, use?: KeyUse): KeyState {
  if (key.revoked_at) return "revoked";
  if (key.expires_at && new Date(key.expires_at) <= now) return "expired";
  const quota = key.limits.credits_per_day;
  if (quota && use && use.credits >= quota) return "used-up";
  if (key.expires_at && differenceInDays(new Date(key.expires_at), now) < ENDING_DAYS) return "ending";
  return key.previous && new Date(key.previous.until) > now ? "rotating" : "active";
}

export function hasEnded(key: ApiKey, now: Date): boolean {
  return ["revoked", "expired"].includes(stateOf(key, now));
}

/** The restrictions of a key in one line. */
export function scopeOf(key: ApiKey, t: Messages, format: Format): string {
  const from = key.addresses && t.keys.networks(key.addresses.join(", "));
  if (key.admin) return [t.keys.scopeAdmin, from].filter((part) => part).join(" · ");
  const parts = [
    key.scopes.models && t.keys.models(key.scopes.models.join(", ")),
    key.scopes.routes && t.keys.routes(key.scopes.routes.join(", ")),
    from,
    key.limits.requests_per_minute && t.keys.perMinute(format.count(key.limits.requests_per_minute)),
  ];
  return parts.filter((part) => part).join(" · ") || t.keys.everything;
}

/** `tollgate_…9f3c`: enough to recognise a key, never its middle. */
export function shortened(key: Pick<ApiKey, "prefix" | "last4">): string {
  return `${key.prefix}_…${key.last4}`;
}

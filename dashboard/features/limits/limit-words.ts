import type { BusyKey, RateLimit } from "@/features/limits/use-limits";
import type { Format } from "@/lib/format";
import { NONE } from "@/lib/format";
import type { Messages } from "@/messages/en";

/** The numbers of a policy, as `RateLimit-Policy` writes them: `"ip";q=100;w=60`; the unit of a limit of tokens. */
export function policyOf(policy: string): { limit: number; windowS: number | undefined; unit?: string } {
  const number = (name: string): number | undefined => {
    const text = new RegExp(`;${name}=(\\d+)`).exec(policy)?.[1];
    return text === undefined ? undefined : Number(text);
  };
  const unit = /;qu="(\w*tokens)"/.exec(policy)?.[1];
  return { limit: number("q") ?? 0, windowS: number("w"), ...(unit === undefined ? {} : { unit }) };
}

export function policyText(policy: string, t: Messages, format: Format): string {
  const { limit, windowS, unit } = policyOf(policy);
  const count = [format.count(limit), t.limits.units[unit ?? ""]].filter(Boolean).join(" ");
  return windowS === undefined ? t.limits.inFlight(count) : t.limits.per(count, windowText(windowS, t, format));
}

function windowText(seconds: number, t: Messages, format: Format): string {
  if (seconds % 3_600 === 0) return t.limits.hours(format.count(seconds / 3_600));
  return seconds % 60 === 0 ? t.limits.minutes(format.count(seconds / 60)) : t.limits.seconds(format.count(seconds));
}

/** The maximum of a limit in words, with its tiers. */
export function maximumText({ kind, policy, tiers }: RateLimit, t: Messages, format: Format): string {
  const text = (of: string): string => (kind === "credits_per_day" ? t.limits.credits(format.count(policyOf(of).limit)) : policyText(of, t, format));
  const usual = policy ? [text(policy)] : [];
  const named = tiers.map((tier) => `${tier.name}: ${text(tier.policy)}`);
  return [...usual, ...named].join(" · ") || NONE;
}

/** What a limit counts, in words where its dimensions do not say it. */
export function countsText({ kind, dimensions, policy, tiers }: RateLimit, t: Messages): string {
  const isOfTokens = policyOf(policy ?? tiers[0]?.policy ?? "").unit !== undefined;
  const [together, per] = isOfTokens ? [t.limits.tokensTogether, t.limits.tokensPer] : [t.limits.allTogether, t.limits.requestsPer];
  const ofDimensions = dimensions.join() === "global" ? together : per(dimensionsText(dimensions, t));
  const named = t.limits.kinds[`${kind}_${dimensions.join()}`] ?? t.limits.kinds[kind];
  return named ?? (kind === "without_key" ? t.explain.kinds.without_key : undefined) ?? ofDimensions;
}

/** What distinguishes the counters of a limit: `client address and route`. A dimension may have a name: `header X-Tenant`. */
function dimensionsText(dimensions: readonly string[], t: Messages): string {
  const words = dimensions.map((dimension) => {
    const [kind = "", name] = dimension.split(" ");
    return [t.limits.dimensions[kind] ?? kind, name].filter(Boolean).join(" ");
  });
  return words.length > 1 ? t.limits.and(words.slice(0, -1).join(", "), words.at(-1) ?? "") : (words[0] ?? "");
}

/** The part of the configuration that has a limit. */
export function whereText({ kind, route, place }: RateLimit, t: Messages): string {
  const isOfPlans = kind === "requests_per_minute" || kind === "credits_per_day";
  return [isOfPlans ? t.limits.ofPlans : (route ?? t.limits.allRoutes), place].filter(Boolean).join(" · ");
}

/** The page about a counted value: of a key or a user. Only keys have a label. */
export function linkOf({ id, label }: BusyKey["values"][number]): string | undefined {
  if (!id) return undefined;
  return typeof label === "string" ? `/dashboard/keys?id=${id}` : `/dashboard/users?id=${id}`;
}

/** The values that a limit counts in one counter: a key by its label and its end. */
export function keyText({ values }: Pick<BusyKey, "values">, t: Messages): string {
  const text = values.map(({ dimension, value, label }) => (dimension === "global" ? t.limits.all : [label, value ?? t.limits.hidden].filter(Boolean).join(" ")));
  return text.join(" · ");
}

/** A key with the limit that counts it. */
export interface LimitedKey {
  id: string;
  limit: RateLimit;
  busy: BusyKey;
}

/** The keys of all limits, the busiest first. */
export function busiest(limits: readonly RateLimit[]): LimitedKey[] {
  const all = limits.flatMap((limit, at) => limit.keys.map((busy, nth): LimitedKey => {
    const named = busy.values.map(({ value, id }) => id ?? value ?? "").join("|");
    return { id: `${at}-${named}-${named.replaceAll("|", "") === "" ? nth : ""}`, limit, busy };
  }));
  return all.sort((one, other) => other.busy.used / other.busy.limit - one.busy.used / one.busy.limit || (other.busy.refused ?? 0) - (one.busy.refused ?? 0) || one.id.localeCompare(other.id));
}

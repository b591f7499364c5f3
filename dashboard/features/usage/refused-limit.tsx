"use client";

import Link from "next/link";

import type { Schemas } from "@/lib/api";
import type { Format } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import { useMe } from "@/lib/queries";
import type { Messages } from "@/messages/en";

type Limit = Schemas["RefusedLimit"];
type Owner = keyof Messages["usage"]["limitOwners"];
type Unit = keyof Messages["usage"]["limitUnits"];

const MONTH_S = 28 * 86_400;
const WINDOWS = { 60: "minute", 3600: "hour", 86400: "day" } as const;

/** The limit that refused a request, with its amounts at that time, and by whom it can be raised. */
export function RefusedLimit({ request, limit }: { request: Schemas["RequestDetail"]; limit: Limit }) {
  const t = useMessages();
  const format = useFormat();
  const isAdmin = useMe().data?.acts_as === "admin";
  const { maximum, used, left, full_at } = limit;
  const href = placeOf(limit, request, isAdmin);
  return (
    <section aria-labelledby="refused-limit">
      <h3 id="refused-limit">{t.usage.limitThen}</h3>
      <p>
        {nameOf(limit, t, format)}
        <span className="t3"> ({t.usage.limitOwners[wordOf(t.usage.limitOwners, limit.owner) as Owner]})</span>:{" "}
        {maximum != null && <b className="med num bad">{used == null ? shown(maximum, format) : t.budgets.usedOf(shown(used, format), shown(maximum, format))}</b>}
        {maximum == null && <span>{t.usage.limitHidden}</span>}
        <span className="num">, {t.usage.limitNeeded(shown(limit.requested, format))}</span>
        {left != null && <span className="num">, {t.usage.leftNow(shown(left, format))}</span>}
        {full_at != null && <span className="t3 num">, {t.usage.fullAgain(format.moment(full_at))}</span>}
      </p>
      <p className="hint">
        {t.usage.limitRaisedBy[limit.raised_by === "owner" ? "owner" : "admin"]} {href !== undefined && <Link className="link sm" href={href}>{t.usage.changeLimit}</Link>}
      </p>
    </section>
  );
}

/** What a limit counts, and in which time: `Credits per day`. */
function nameOf(limit: Limit, t: Messages, format: Format): string {
  const unit = t.usage.limitUnits[wordOf(t.usage.limitUnits, limit.unit) as Unit];
  const seconds = limit.window_s;
  const named = limit.rule == null ? unit : `${limit.rule}: ${unit}`;
  if (seconds == null) return named;
  if (seconds >= MONTH_S) return t.usage.limitPer(named, t.usage.limitWindows.month);
  const word = WINDOWS[seconds as keyof typeof WINDOWS];
  return word === undefined ? t.usage.limitIn(named, format.duration(seconds * 1_000)) : t.usage.limitPer(named, t.usage.limitWindows[word]);
}

/** A word that the page knows, or `other`. */
function wordOf(words: object, word: string): string {
  return word in words ? word : "other";
}

function shown(amount: Schemas["BudgetAmount"], format: Format): string {
  return typeof amount === "object" ? format.exact(amount) : format.count(amount);
}

/** The page on which the reader can raise the limit. */
function placeOf(limit: Limit, request: Schemas["RequestDetail"], isAdmin: boolean): string | undefined {
  const key = request.key ? `/dashboard/keys?id=${request.key.id}` : undefined;
  if (limit.owner === "key") return key;
  if (!isAdmin) return undefined;
  switch (limit.owner) {
    case "user":
      return request.user ? `/dashboard/users?id=${request.user.id}` : "/dashboard/plans";
    case "plan":
    case "gateway":
      return "/dashboard/budgets";
    case "rule":
      return "/dashboard/limits";
    default:
      return undefined;
  }
}

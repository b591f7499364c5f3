"use client";

import { CircleAlert, Clock, Wallet } from "lucide-react";
import Link from "next/link";

import { buttonClass } from "@/components/ui/button";
import { NEARLY } from "@/components/ui/meter";
import { adminMatters, useAdminFacts } from "@/features/overview/admin-matters";
import { moneyBudget } from "@/features/overview/limits";
import type { Matter } from "@/features/overview/matter";
import type { Format } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";
import type { Overview } from "@/lib/queries";
import type { Messages } from "@/messages/en";

const SOON_MS = 3 * 86_400_000;
/** A share of errors that is not noise, and the requests from which it can be judged. */
const ERROR_RATE = 0.1;
const REQUESTS_MIN = 10;

interface Words {
  t: Messages;
  format: Format;
  now: Date;
}

/** What needs the reader now, the most urgent first. */
export function matters(overview: Overview, { t, format, now }: Words): Matter[] {
  const found: Matter[] = [];
  const { quota, budgets, keys, errors } = overview;
  if (quota?.limit && quota.used >= quota.limit) {
    found.push({ id: "quota", tone: "bad", icon: CircleAlert, title: t.overview.quotaUsed, text: t.overview.quotaUsedText(format.left(quota.resets_at, now)) });
  }
  for (const per of ["day", "month"] as const) {
    const budget = moneyBudget(budgets, per);
    if (!budget || budget.used < budget.limit * NEARLY) continue;
    const isUsed = budget.used >= budget.limit;
    const title = budget.used > budget.limit ? t.overview.budgetOver : isUsed ? t.overview.budgetUsed : t.overview.budgetNearly;
    const money = (nano: number): string => format.total({ amount_nano: nano, currency: budget.currency });
    const text = t.overview.budgetText(money(budget.used), money(budget.limit), format.left(budget.resetsAt, now));
    found.push({ id: per, tone: isUsed ? "bad" : "warn", icon: Wallet, title, text });
  }
  for (const key of keys) {
    if (!key.expires_at || key.revoked_at) continue;
    const left = new Date(key.expires_at).getTime() - now.getTime();
    if (left > SOON_MS || left < -SOON_MS) continue;
    const name = key.user ? `${key.label} · ${key.user.name}` : key.label;
    const title = left > 0 ? t.overview.keyExpires(name, format.left(key.expires_at, now)) : t.overview.keyExpired(name);
    // The page of keys has the reader's own only.
    const href = key.user ? `/dashboard/users?id=${key.user.id}` : "/dashboard/keys";
    found.push({ id: key.id, tone: left > 0 ? "warn" : "bad", icon: Clock, title, text: t.overview.keyExpiresText, link: { href, label: t.overview.showKeys } });
  }
  if (errors.rate && errors.rate >= ERROR_RATE && errors.requests >= REQUESTS_MIN) {
    const link = { href: "/dashboard/usage", label: t.overview.showRequests };
    found.push({ id: "errors", tone: "warn", icon: CircleAlert, title: t.overview.manyErrors(format.percent(errors.rate)), text: t.overview.manyErrorsText, link });
  }
  return found.sort((a, b) => Number(b.tone === "bad") - Number(a.tone === "bad"));
}

/** The list of matters; nothing if there are none. Administrators see those of the gateway too, unless they look at another scope. */
export function Attention({ overview, isOfGateway }: { overview: Overview | undefined; isOfGateway: boolean }) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const facts = useAdminFacts(isOfGateway);
  const words = { t, format, now };
  const own = overview ? matters(overview, words) : [];
  const found = [...adminMatters(facts, words), ...own].sort((a, b) => Number(b.tone === "bad") - Number(a.tone === "bad"));
  if (found.length === 0) return null;
  return (
    <section className="panel" aria-labelledby="attention">
      <div className="ph">
        <h2 id="attention">{t.overview.attention}</h2>
        <span className={`tag ${found[0]?.tone ?? ""}`}>{found.length}</span>
      </div>
      <ul className="list">
        {found.map(({ id, tone, icon: Icon, title, text, link }) => (
          <li key={id}>
            <span className={`badge ${tone}`}>
              <Icon className="i" aria-hidden />
            </span>
            <div className="body">
              <b>{title}</b>
              <span>{text}</span>
            </div>
            {link && (
              <Link className={buttonClass({ size: "small" })} href={link.href}>
                {link.label}
              </Link>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

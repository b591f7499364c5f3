"use client";

import { useQuery } from "@tanstack/react-query";
import { BadgeCheck, ReceiptText, Server, Wallet, Webhook as WebhookIcon } from "lucide-react";

import { NEARLY } from "@/components/ui/meter";
import { figuresOf } from "@/features/budgets/budget-figures";
import type { Matter } from "@/features/overview/matter";
import { healthOf } from "@/features/upstreams/use-upstreams";
import { type Schemas, api } from "@/lib/api";
import type { Format } from "@/lib/format";
import { useMe, useSite } from "@/lib/queries";
import type { Messages } from "@/messages/en";

/** The time between two readings, in milliseconds. */
const AGAIN_MS = 60_000;
/** The budgets and the invoices that are read: one page each. */
const PAGE = 200;

/** What administrators look at; undefined if it is not read, or cannot be. */
export interface AdminFacts {
  upstreams?: Schemas["UpstreamState"][] | undefined;
  budgets?: Schemas["Budget"][] | undefined;
  webhooks?: Schemas["Webhook"][] | undefined;
  invoices?: Schemas["BilledInvoice"][] | undefined;
  review?: Schemas["ReviewStatus"] | undefined;
}

/** Reads what needs an administrator, once a minute; nothing for other readers. A part that fails is left out: its page reports that. */
export function useAdminFacts(isShown: boolean): AdminFacts {
  const site = useSite().data;
  const isAdmin = useMe().data?.acts_as === "admin" && isShown;
  const isSeller = isAdmin && site?.billing === true;
  const options = { refetchInterval: AGAIN_MS, staleTime: AGAIN_MS, retry: false };
  const upstreams = useQuery({ queryKey: ["attention", "upstreams"], enabled: isAdmin, queryFn: ({ signal }) => api("get", "/api/upstreams", { signal }), ...options });
  const budgets = useQuery({ queryKey: ["attention", "budgets"], enabled: isAdmin, queryFn: ({ signal }) => api("get", "/api/budgets", { query: { limit: PAGE }, signal }), ...options });
  const review = useQuery({ queryKey: ["attention", "review"], enabled: isAdmin, queryFn: ({ signal }) => api("get", "/review/status", { query: {}, signal }), ...options });
  const webhooks = useQuery({ queryKey: ["attention", "webhooks"], enabled: isSeller, queryFn: ({ signal }) => api("get", "/api/webhooks", { signal }), ...options });
  const invoices = useQuery({ queryKey: ["attention", "invoices"], enabled: isSeller, queryFn: ({ signal }) => api("get", "/api/billing/invoices", { query: { state: "open", limit: PAGE }, signal }), ...options });
  return { upstreams: upstreams.data?.items, budgets: budgets.data?.items, review: review.data, webhooks: webhooks.data?.items, invoices: invoices.data?.items };
}

/** What needs an administrator now. */
export function adminMatters({ upstreams = [], budgets = [], webhooks = [], invoices = [], review }: AdminFacts, { t, format, now }: { t: Messages; format: Format; now: Date }): Matter[] {
  const found: Matter[] = [];
  for (const upstream of upstreams) {
    const { mark, available, all } = healthOf(upstream);
    if (mark !== "bad" && mark !== "warn") continue;
    const title = mark === "bad" ? t.overview.upstreamDown(upstream.name) : t.overview.upstreamPart(upstream.name);
    const text = t.overview.upstreamText(format.count(available), format.count(all));
    found.push({ id: `upstream ${upstream.kind} ${upstream.name}`, tone: mark, icon: Server, title, text, link: { href: "/dashboard/upstreams", label: t.overview.showUpstreams } });
  }
  const full = budgets.filter((budget) => (figuresOf(budget, format).share ?? 0) >= NEARLY);
  if (full.length > 0) {
    const isUsed = full.some((budget) => (figuresOf(budget, format).share ?? 0) >= 1);
    const names = full.slice(0, 3).map(({ name, dimension }) => name ?? t.budgets.dimensions[dimension]).join(", ");
    found.push({ id: "budgets", tone: isUsed ? "bad" : "warn", icon: Wallet, title: t.overview.budgetsNear(format.count(full.length)), text: names, link: { href: "/dashboard/budgets", label: t.overview.showBudgets } });
  }
  for (const { id, url, enabled, disabled_at, failing } of webhooks) {
    if (enabled && !failing) continue;
    const since = failing ? t.overview.webhookFailing(format.moment(failing.since)) : "";
    const text = disabled_at ? t.overview.webhookText(format.moment(disabled_at)) : since;
    const title = enabled ? t.overview.webhookRepeats(url) : t.overview.webhookOff(url);
    found.push({ id: `webhook ${id}`, tone: "warn", icon: WebhookIcon, title, text, link: { href: `/dashboard/webhooks?id=${id}`, label: t.overview.showWebhook } });
  }
  const late = invoices.filter(({ invoice }) => invoice.due_at && new Date(invoice.due_at) < now);
  if (late.length > 0) {
    const names = late.slice(0, 3).map(({ user }) => user.name).join(", ");
    found.push({ id: "invoices", tone: "warn", icon: ReceiptText, title: t.overview.invoicesLate(format.count(late.length)), text: names, link: { href: "/dashboard/billing-admin", label: t.overview.showInvoices } });
  }
  if (review && review.complete && review.required.length > 0 && ["ready", "partly_approved", "reopened"].includes(review.state)) {
    found.push({ id: "review", tone: "warn", icon: BadgeCheck, title: t.overview.reviewDue(format.utcFull(review.date)), text: t.overview.reviewText, link: { href: `/dashboard/review?id=${review.id}`, label: t.overview.showReview } });
  }
  return found;
}

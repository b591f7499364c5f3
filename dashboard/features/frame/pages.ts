import { BadgeCheck, Banknote, Box, CalendarDays, ChartColumn, ClipboardList, CreditCard, FileCog, Gauge, KeyRound, Layers, type LucideIcon, Plug, ReceiptText, Route, Server, SquareTerminal, Timer, Users, Wallet, Waypoints, Webhook } from "lucide-react";

/** The name of a page; its title is the message of this name in `frame`. */
export type PageName = "overview" | "usage" | "day" | "keys" | "playground" | "models" | "providers" | "users" | "plans" | "budgets" | "review" | "audit" | "configuration" | "limits" | "upstreams" | "routes" | "explain" | "billing" | "invoices" | "pay" | "billingAdmin" | "webhooks" | "account";

interface PageEntry {
  href: string;
  icon: LucideIcon;
  name: PageName;
  /** Whether only a gateway with LLM endpoints has it. */
  isLlm?: true;
  /** Whether only a gateway that sells plans has it. */
  isBilling?: true;
  /** Whether users with the role `finance` have it too, beside admins. */
  isFinance?: true;
  /** Whether users with any role have it too, beside admins. */
  isOfRoles?: true;
  /** The group of an admin page. */
  group?: PageGroup;
}

/** The groups of admin pages. */
export type PageGroup = "people" | "finance" | "gateway";

/** The pages of the navigation, in their order. {@link usePages} omits those that the server does not need. */
export const PAGES: PageEntry[] = [
  { href: "/dashboard/overview", icon: Gauge, name: "overview" },
  { href: "/dashboard/usage", icon: ChartColumn, name: "usage" },
  { href: "/dashboard/day", icon: CalendarDays, name: "day" },
  { href: "/dashboard/keys", icon: KeyRound, name: "keys" },
  { href: "/dashboard/playground", icon: SquareTerminal, name: "playground", isLlm: true },
  { href: "/dashboard/models", icon: Box, name: "models", isLlm: true },
  { href: "/dashboard/providers", icon: Plug, name: "providers", isLlm: true },
  { href: "/dashboard/billing", icon: CreditCard, name: "billing", isBilling: true },
  { href: "/dashboard/invoices", icon: ReceiptText, name: "invoices", isBilling: true },
];

/** The pages below them, for admins who signed in with a password, and some of them for users with a role. */
export const ADMIN_PAGES: PageEntry[] = [
  { href: "/dashboard/users", icon: Users, name: "users", group: "people" },
  { href: "/dashboard/plans", icon: Layers, name: "plans", group: "people" },
  { href: "/dashboard/budgets", icon: Wallet, name: "budgets", group: "people" },
  { href: "/dashboard/review", icon: BadgeCheck, name: "review", isOfRoles: true, group: "finance" },
  { href: "/dashboard/billing-admin", icon: Banknote, name: "billingAdmin", isBilling: true, isFinance: true, group: "finance" },
  { href: "/dashboard/webhooks", icon: Webhook, name: "webhooks", isBilling: true, isFinance: true, group: "finance" },
  { href: "/dashboard/upstreams", icon: Server, name: "upstreams", group: "gateway" },
  { href: "/dashboard/routes", icon: Waypoints, name: "routes", group: "gateway" },
  { href: "/dashboard/limits", icon: Timer, name: "limits", group: "gateway" },
  { href: "/dashboard/explain", icon: Route, name: "explain", group: "gateway" },
  { href: "/dashboard/configuration", icon: FileCog, name: "configuration", group: "gateway" },
  { href: "/dashboard/audit", icon: ClipboardList, name: "audit", group: "gateway" },
];

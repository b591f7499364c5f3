import { ChartColumn, Gauge, KeyRound, type LucideIcon } from "lucide-react";

/** The name of a page; its title is the message of this name in `frame`. */
export type PageName = "overview" | "usage" | "keys" | "users" | "plans" | "budgets" | "audit" | "account";

interface PageEntry {
  href: string;
  icon: LucideIcon;
  name: PageName;
}

/** The pages of the navigation, in their order. */
export const PAGES: PageEntry[] = [
  { href: "/dashboard/overview", icon: Gauge, name: "overview" },
  { href: "/dashboard/usage", icon: ChartColumn, name: "usage" },
  { href: "/dashboard/keys", icon: KeyRound, name: "keys" },
];

/** The pages below them, for admins who signed in with a password. */
export const ADMIN_PAGES: PageEntry[] = [];

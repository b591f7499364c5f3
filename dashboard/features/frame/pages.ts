import { Box, ChartColumn, Gauge, KeyRound, type LucideIcon, Plug, SquareTerminal } from "lucide-react";

/** The name of a page; its title is the message of this name in `frame`. */
export type PageName = "overview" | "usage" | "keys" | "playground" | "models" | "providers";

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
  { href: "/dashboard/playground", icon: SquareTerminal, name: "playground" },
  { href: "/dashboard/models", icon: Box, name: "models" },
  { href: "/dashboard/providers", icon: Plug, name: "providers" },
];

import type { LucideIcon } from "lucide-react";

/** What needs the reader. */
export interface Matter {
  id: string;
  tone: "bad" | "warn";
  icon: LucideIcon;
  title: string;
  text: string;
  link?: { href: string; label: string };
}

/** The commands of the palette, and how a text selects some of them. */
import type { LucideIcon } from "lucide-react";

export interface Command {
  id: string;
  group: "pages" | "actions" | "keys" | "models" | "users" | "plans";
  label: string;
  icon: LucideIcon;
  /** The shortcut that does the same. */
  keys?: string;
  run(): void;
}

/** Longer lists are cut: a longer text selects fewer commands. */
export const SHOWN_MAX = 40;

/** The commands that contain each word of the text, in their order; those that begin with it come first in their group. */
export function matching(commands: readonly Command[], text: string): Command[] {
  const words = text.trim().toLocaleLowerCase().split(/\s+/).filter((word) => word !== "");
  const found = commands.filter(({ label }) => words.every((word) => label.toLocaleLowerCase().includes(word)));
  const rank = ({ label }: Command): number => (words[0] !== undefined && label.toLocaleLowerCase().startsWith(words[0]) ? 0 : 1);
  const groups = [...new Set(found.map(({ group }) => group))];
  return groups.flatMap((group) => found.filter((command) => command.group === group).sort((one, other) => rank(one) - rank(other))).slice(0, SHOWN_MAX);
}

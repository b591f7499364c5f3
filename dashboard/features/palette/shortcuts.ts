import type { PageName } from "@/features/frame/pages";

/** The key after `G` that opens a page. */
export const PAGE_KEYS: Partial<Record<PageName, string>> = { overview: "o", usage: "u", keys: "k", playground: "p", models: "m", providers: "v" };

/** Milliseconds in which the second key of a pair must follow. */
const PAIR_MS = 1_200;

export type Shortcut = "palette" | "help" | "theme" | "create" | PageName;

/** The part of a keyboard event that decides. */
export interface KeyPress {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  /** Whether a text field has the focus, or a dialog is open: single keys are then text. */
  isTyping: boolean;
  /** The milliseconds at which the key was pressed. */
  at: number;
}

/** Reads shortcuts, of which some are pairs of keys. */
export class ShortcutReader {
  private goAt = Number.NEGATIVE_INFINITY;

  read(press: KeyPress, hasSingleKeys: boolean): Shortcut | undefined {
    const key = press.key.toLowerCase();
    if ((press.ctrlKey || press.metaKey) && !press.altKey && key === "k") return "palette";
    if (press.ctrlKey || press.metaKey || press.altKey || press.isTyping || !hasSingleKeys) return undefined;
    const isPair = press.at - this.goAt < PAIR_MS;
    this.goAt = key === "g" && !isPair ? press.at : Number.NEGATIVE_INFINITY;
    if (isPair) return (Object.keys(PAGE_KEYS) as PageName[]).find((page) => PAGE_KEYS[page] === key);
    if (key === "?") return "help";
    if (key === "t") return "theme";
    return key === "c" ? "create" : undefined;
  }
}

"use client";

import { Search } from "lucide-react";
import { useRouter } from "next/navigation";
import { useEffect, useRef, useState } from "react";

import { usePages } from "@/features/frame/use-pages";
import { Palette } from "@/features/palette/palette";
import { ShortcutsDialog } from "@/features/palette/shortcuts-dialog";
import { ShortcutReader } from "@/features/palette/shortcuts";
import { useMessages } from "@/lib/language";
import { toggleTheme, usePreferences } from "@/lib/preferences";

/** The button of the palette, and the shortcuts of every page. */
export function Jump() {
  const t = useMessages();
  const router = useRouter();
  const [open, setOpen] = useState<"palette" | "help">();
  const pages = usePages();
  const reader = useRef<ShortcutReader>(undefined);
  useEffect(() => {
    reader.current ??= new ShortcutReader();
    const press = (event: KeyboardEvent): void => {
      const { key, ctrlKey, metaKey, altKey } = event;
      const shortcut = reader.current?.read({ key, ctrlKey, metaKey, altKey, isTyping: isTyping(event.target), at: event.timeStamp }, usePreferences.getState().hasShortcuts);
      if (shortcut === undefined || event.repeat) return;
      event.preventDefault();
      if (shortcut === "palette" || shortcut === "help") setOpen((before) => (before === shortcut ? undefined : shortcut));
      else if (shortcut === "theme") toggleTheme();
      else if (shortcut === "create") router.push("/dashboard/keys?create=1");
      else router.push(pages.find(({ name }) => name === shortcut)?.href ?? "/dashboard/overview");
    };
    document.addEventListener("keydown", press);
    return () => document.removeEventListener("keydown", press);
  }, [router, pages]);
  return (
    <>
      <button type="button" className="jump" aria-haspopup="dialog" aria-keyshortcuts="Control+K Meta+K" onClick={() => setOpen("palette")}>
        <Search className="i s" aria-hidden />
        <span>{t.palette.title}</span>
        <kbd className="kbd push" aria-hidden>Ctrl K</kbd>
      </button>
      {open === "palette" && <Palette onClose={() => setOpen(undefined)} onHelp={() => setOpen("help")} />}
      {open === "help" && <ShortcutsDialog onClose={() => setOpen(undefined)} />}
    </>
  );
}

/** Whether a key is text: in a field, or while a dialog is open. */
function isTyping(target: EventTarget | null): boolean {
  if (document.querySelector('[role="dialog"], [role="menu"]')) return true;
  return target instanceof HTMLElement && (target.isContentEditable || target.closest("input, textarea, select") !== null);
}

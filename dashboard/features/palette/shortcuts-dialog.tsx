"use client";

import { Dialog } from "@/components/ui/dialog";
import { usePages } from "@/features/frame/use-pages";
import { PAGE_KEYS } from "@/features/palette/shortcuts";
import { useMessages } from "@/lib/language";
import { usePreferences } from "@/lib/preferences";

/** Lists the shortcuts. Single keys can be turned off, because speech input may type them (WCAG 2.2, 2.1.4). */
export function ShortcutsDialog({ onClose }: { onClose(): void }) {
  const t = useMessages();
  const hasShortcuts = usePreferences((state) => state.hasShortcuts);
  const pages = usePages().flatMap(({ name }): [string, string][] => {
    const key = PAGE_KEYS[name];
    return key ? [[`G ${key.toUpperCase()}`, t.frame[name]]] : [];
  });
  const rows: [string, string][] = [["Ctrl K", t.palette.title], ...pages, ["C", t.keys.create], ["T", t.frame.changeTheme], ["Ctrl Enter", t.playground.send], ["Esc", t.frame.close], ["?", t.palette.shortcuts]];
  return (
    <Dialog title={t.palette.shortcuts} onClose={onClose}>
      <dl className="keys">
        {rows.map(([keys, label]) => (
          <div key={keys}>
            <dt>{label}</dt>
            <dd>
              {keys.split(" ").map((key) => (
                <kbd key={key} className="kbd">{key}</kbd>
              ))}
            </dd>
          </div>
        ))}
      </dl>
      <label className="chk">
        <input type="checkbox" checked={hasShortcuts} onChange={(event) => usePreferences.getState().setShortcuts(event.target.checked)} />
        {t.palette.single}
      </label>
    </Dialog>
  );
}

"use client";

/** What only this browser knows: theme, language, whether single keys are shortcuts, and the last known brand colour. */
import { create } from "zustand";
import { persist } from "zustand/middleware";

import type { Locale } from "@/lib/format";
import { STORED_AS } from "@/lib/stored-as";

export type Theme = "system" | "light" | "dark";

interface Preferences {
  theme: Theme;
  /** `undefined` follows the browser. */
  locale: Locale | undefined;
  hasShortcuts: boolean;
  /** The brand's colour of the last visit, for the first paint of the next one. */
  color: string | undefined;
  setTheme(theme: Theme): void;
  setLocale(locale: Locale): void;
  setShortcuts(hasShortcuts: boolean): void;
  setColor(color: string | undefined): void;
}

export const usePreferences = create<Preferences>()(
  persist(
    (set) => ({
      theme: "system",
      locale: undefined,
      hasShortcuts: true,
      color: undefined,
      setTheme: (theme) => set({ theme }),
      setLocale: (locale) => set({ locale }),
      setShortcuts: (hasShortcuts) => set({ hasShortcuts }),
      setColor: (color) => set({ color }),
    }),
    { name: STORED_AS, skipHydration: true },
  ),
);

/** Changes between light and dark, from what the page shows now. */
export function toggleTheme(): void {
  const { theme, setTheme } = usePreferences.getState();
  const isDark = theme === "dark" || (theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  setTheme(isDark ? "light" : "dark");
}

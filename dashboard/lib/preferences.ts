"use client";

/** What only this browser knows: theme, language and the open panels. */
import { create } from "zustand";
import { persist } from "zustand/middleware";

import type { Locale } from "@/lib/format";
import { STORED_AS } from "@/lib/stored-as";

export type Theme = "system" | "light" | "dark";

interface Preferences {
  theme: Theme;
  /** `undefined` follows the browser. */
  locale: Locale | undefined;
  setTheme(theme: Theme): void;
  setLocale(locale: Locale): void;
}

export const usePreferences = create<Preferences>()(
  persist(
    (set) => ({
      theme: "system",
      locale: undefined,
      setTheme: (theme) => set({ theme }),
      setLocale: (locale) => set({ locale }),
    }),
    { name: STORED_AS, skipHydration: true },
  ),
);

"use client";

/** What only this browser knows: theme, language, whether single keys are shortcuts, and the last known brand colour. */
import { create } from "zustand";
import { persist } from "zustand/middleware";

import type { Locale } from "@/lib/format";
import { STORED_AS } from "@/lib/stored-as";

export type Theme = "system" | "light" | "dark";

/** The choice of a page, by its name. */
export interface SavedView {
  path: string;
  name: string;
  /** The query of the address. */
  query: string;
}

/** The maximum number of views of a page. The oldest one gives way. */
export const VIEWS_MAX = 20;

interface Preferences {
  theme: Theme;
  /** `undefined` follows the browser. */
  locale: Locale | undefined;
  hasShortcuts: boolean;
  /** The brand's colour of the last visit, for the first paint of the next one. */
  color: string | undefined;
  views: readonly SavedView[];
  /** Keeps a view; one of the same page and name is replaced. */
  saveView(view: SavedView): void;
  removeView(view: SavedView): void;
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
      views: [],
      saveView: (view) => set(({ views }) => ({ views: withView(views, view) })),
      removeView: ({ path, name }) => set(({ views }) => ({ views: views.filter((view) => view.path !== path || view.name !== name) })),
      setTheme: (theme) => set({ theme }),
      setLocale: (locale) => set({ locale }),
      setShortcuts: (hasShortcuts) => set({ hasShortcuts }),
      setColor: (color) => set({ color }),
    }),
    { name: STORED_AS, skipHydration: true },
  ),
);

function withView(views: readonly SavedView[], added: SavedView): SavedView[] {
  const [others, own] = [views.filter(({ path }) => path !== added.path), views.filter(({ path, name }) => path === added.path && name !== added.name)];
  return [...others, ...own.slice(1 - VIEWS_MAX), added];
}

/** Changes between light and dark, from what the page shows now. */
export function toggleTheme(): void {
  const { theme, setTheme } = usePreferences.getState();
  const isDark = theme === "dark" || (theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  setTheme(isDark ? "light" : "dark");
}

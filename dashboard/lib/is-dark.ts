"use client";

import { useSyncExternalStore } from "react";

import { usePreferences } from "@/lib/preferences";

const DARK = "(prefers-color-scheme: dark)";

function watchScheme(onChange: () => void): () => void {
  const scheme = matchMedia(DARK);
  scheme.addEventListener("change", onChange);
  return () => scheme.removeEventListener("change", onChange);
}

/** Whether the page is dark: for pictures, which styles do not reach. */
export function useIsDark(): boolean {
  const theme = usePreferences((of) => of.theme);
  const isSystemDark = useSyncExternalStore(watchScheme, () => matchMedia(DARK).matches, () => false);
  return theme === "system" ? isSystemDark : theme === "dark";
}

"use client";

import { useMemo, useSyncExternalStore } from "react";

import { type Format, type Locale, formatter } from "@/lib/format";
import { usePreferences } from "@/lib/preferences";
import { type Messages, en } from "@/messages/en";

/** The messages of each language. Only English is part of every page; others are loaded when they are first needed. */
const catalogues: Partial<Record<Locale, Messages>> & { en: Messages } = { en };
const listeners = new Set<() => void>();

/** Loads the messages of a language. If that fails, the page stays English and the next page tries again. */
export async function loadMessages(locale: Locale): Promise<void> {
  if (catalogues[locale]) return;
  const { id } = await import("@/messages/id");
  catalogues.id = id;
  for (const changed of listeners) changed();
}

function subscribe(changed: () => void): () => void {
  listeners.add(changed);
  return () => listeners.delete(changed);
}

const never = (): (() => void) => () => undefined;

/** The language of the page. The exported HTML is English; a browser in Indonesian changes it after the first paint. */
export function useLocale(): Locale {
  const chosen = usePreferences((state) => state.locale);
  const browsers = useSyncExternalStore<Locale>(
    never,
    () => (navigator.language.toLowerCase().startsWith("id") ? "id" : "en"),
    () => "en",
  );
  return chosen ?? browsers;
}

export function useMessages(): Messages {
  const locale = useLocale();
  return useSyncExternalStore(subscribe, () => catalogues[locale] ?? en, () => en);
}

export function useFormat(): Format {
  const locale = useLocale();
  return useMemo(() => formatter(locale), [locale]);
}

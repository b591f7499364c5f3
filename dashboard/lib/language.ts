"use client";

import { useMemo, useSyncExternalStore } from "react";

import { type Format, type Locale, formatter } from "@/lib/format";
import { usePreferences } from "@/lib/preferences";
import { type Messages, en } from "@/messages/en";
import { id } from "@/messages/id";

const CATALOGUES: Record<Locale, Messages> = { en, id };

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
  return CATALOGUES[useLocale()];
}

export function useFormat(): Format {
  const locale = useLocale();
  return useMemo(() => formatter(locale), [locale]);
}

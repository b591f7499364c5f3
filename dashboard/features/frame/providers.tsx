"use client";

import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";

import { ApiError } from "@/lib/api";
import { loadMessages, useLocale } from "@/lib/language";
import { usePreferences } from "@/lib/preferences";
import { useSession } from "@/features/session/session-state";

/** Failures that a second attempt may not repeat. */
function isTransient(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 0 || error.status === 503);
}

/** The client of server state. A refused session is reported to the whole page, wherever it was noticed. */
function newClient(): QueryClient {
  const onError = (error: Error): void => {
    if (error instanceof ApiError && error.isSignedOut) useSession.getState().end();
  };
  const [queryCache, mutationCache] = [new QueryCache({ onError }), new MutationCache({ onError })];
  const retry = (count: number, error: Error): boolean => isTransient(error) && count < 2;
  return new QueryClient({ queryCache, mutationCache, defaultOptions: { queries: { retry, networkMode: "always" }, mutations: { retry: false, networkMode: "always" } } });
}

export function Providers({ children }: { children: ReactNode }) {
  const [client] = useState(newClient);
  const theme = usePreferences((state) => state.theme);
  const locale = useLocale();
  useEffect(() => {
    void usePreferences.persist.rehydrate();
  }, []);
  useEffect(() => {
    if (!usePreferences.persist.hasHydrated()) return;
    const root = document.documentElement;
    if (theme === "system") delete root.dataset.theme;
    else root.dataset.theme = theme;
  }, [theme]);
  useEffect(() => {
    document.documentElement.lang = locale;
    void loadMessages(locale).catch(() => undefined);
  }, [locale]);
  return <QueryClientProvider client={client}>{children}</QueryClientProvider>;
}

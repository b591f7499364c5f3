"use client";

import { MutationCache, QueryCache, type QueryKey, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { type ReactNode, useEffect, useState } from "react";

import { ApiError } from "@/lib/api";
import { loadMessages, useLocale } from "@/lib/language";
import { usePreferences } from "@/lib/preferences";
import { useSite } from "@/lib/queries";
import { useCutTitles } from "@/features/frame/use-cut-titles";
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
  const onQueryError = (error: Error, { queryKey }: { queryKey: QueryKey }): void => {
    onError(error);
    // A session of a key is of no use while invoices are unpaid: the password opens the page of payments.
    if (queryKey[0] === "me" && error instanceof ApiError && error.code === "payment_required") useSession.getState().end();
  };
  const [queryCache, mutationCache] = [new QueryCache({ onError: onQueryError }), new MutationCache({ onError })];
  const retry = (count: number, error: Error): boolean => isTransient(error) && count < 2;
  return new QueryClient({ queryCache, mutationCache, defaultOptions: { queries: { retry, networkMode: "always" }, mutations: { retry: false, networkMode: "always" } } });
}

export function Providers({ children }: { children: ReactNode }) {
  const [client] = useState(newClient);
  const theme = usePreferences((state) => state.theme);
  const locale = useLocale();
  useCutTitles();
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
  return (
    <QueryClientProvider client={client}>
      <BrandColor />
      {children}
    </QueryClientProvider>
  );
}

/** Sets the brand's colour through the CSSOM, as the policy of the pages permits no style in the markup. */
function BrandColor() {
  const site = useSite();
  const known = usePreferences((state) => state.color);
  const color = site.data ? (site.data.color ?? undefined) : known;
  const hasAnswer = site.data !== undefined;
  useEffect(() => {
    const root = document.documentElement;
    if (color === undefined) {
      root.style.removeProperty("--brand");
      delete root.dataset.brand;
    } else {
      root.style.setProperty("--brand", color);
      root.dataset.brand = "";
    }
    if (hasAnswer && usePreferences.persist.hasHydrated()) usePreferences.getState().setColor(color);
  }, [color, hasAnswer]);
  return null;
}

"use client";

import { useIsFetching, useQueryClient } from "@tanstack/react-query";
import { WifiOff } from "lucide-react";

import { ApiError } from "@/lib/api";
import { useMessages } from "@/lib/language";

/** One bar below the top bar while the server does not respond and the page shows older data. */
export function OfflineBar() {
  const t = useMessages();
  const client = useQueryClient();
  // A new value after each request, so that the bar is judged again.
  useIsFetching();
  const queries = client.getQueryCache().findAll({ type: "active" });
  const isOffline = queries.some(({ state }) => state.data !== undefined && state.error instanceof ApiError && state.error.status === 0);
  if (!isOffline) return null;
  return (
    <div className="offline" role="status">
      <WifiOff className="i s" aria-hidden />
      {t.errors.offlineBar}
    </div>
  );
}

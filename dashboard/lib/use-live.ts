"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";

import { apiAddress } from "@/lib/api";
import { useMe } from "@/lib/queries";

/** The shortest time between two reads after messages, and the time after which a refused stream is tried again. */
const READ_MS = 2_000;
const AGAIN_MS = 15_000;

/** Reads the overview again when its figures have changed. Where there is no stream, it is read every 15 s only. */
export function useLiveOverview(scope: string): void {
  const client = useQueryClient();
  const me = useMe().data?.user.id;
  const watched = scope || (me && `user:${me}`);
  useEffect(() => {
    if (typeof EventSource === "undefined" || !watched || !(watched === "all" || watched.startsWith("user:"))) return;
    let source: EventSource | undefined;
    let again: ReturnType<typeof setTimeout> | undefined;
    let reading: ReturnType<typeof setTimeout> | undefined;
    const read = () => {
      reading ??= setTimeout(() => {
        reading = undefined;
        void client.invalidateQueries({ queryKey: ["overview", scope] });
      }, READ_MS);
    };
    const open = () => {
      source = new EventSource(apiAddress(`/api/live?topics=usage,spend,refusals&scope=${encodeURIComponent(watched)}`), { withCredentials: true });
      // The first messages of a stream have the figures that the page has read.
      let first = 3;
      source.onmessage = () => {
        if (first > 0) first -= 1;
        else read();
      };
      source.onerror = () => {
        first = 0;
        // A browser connects again by itself, except after a refusal.
        if (source?.readyState === EventSource.CLOSED) again = setTimeout(open, AGAIN_MS);
      };
    };
    open();
    return () => {
      clearTimeout(again);
      clearTimeout(reading);
      source?.close();
    };
  }, [client, scope, watched]);
}

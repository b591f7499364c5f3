"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { apiAddress } from "@/lib/api";
import { useMe } from "@/lib/queries";

/** The shortest time between two reads after messages, and the time after which a refused stream is tried again. */
const READ_MS = 2_000;
const AGAIN_MS = 15_000;

/** Reads the overview again when its figures have changed, while the page is visible. Returns whether a stream reports them: without it, the overview is read at short intervals. */
export function useLiveOverview(scope: string): boolean {
  const client = useQueryClient();
  const me = useMe().data?.user.id;
  const [isLive, setIsLive] = useState(false);
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
        setIsLive(true);
        if (first > 0) first -= 1;
        else read();
      };
      source.onerror = () => {
        setIsLive(false);
        first = 0;
        // A browser connects again by itself, except after a refusal.
        if (source?.readyState === EventSource.CLOSED) again = setTimeout(open, AGAIN_MS);
      };
    };
    const close = () => {
      clearTimeout(again);
      clearTimeout(reading);
      reading = undefined;
      source?.close();
      source = undefined;
      setIsLive(false);
    };
    const follow = () => {
      if (document.hidden) return close();
      if (source) return;
      open();
    };
    const show = () => {
      // What changed while the page was hidden is read once.
      if (!document.hidden && !source) read();
      follow();
    };
    follow();
    document.addEventListener("visibilitychange", show);
    return () => {
      document.removeEventListener("visibilitychange", show);
      close();
    };
  }, [client, scope, watched]);
  return isLive;
}

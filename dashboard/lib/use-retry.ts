"use client";

import { useEffect, useRef, useState } from "react";

import { ApiError } from "@/lib/api";

/** Seconds until a retry, if the response named none. */
const WAIT_S = 5;
const TICK_MS = 500;

/** Repeats a request that a rate limit refused, once its `Retry-After` is over and the page is visible. Returns the seconds left; `undefined` for other failures. */
export function useRetry(error: unknown, retry: () => void): number | undefined {
  const limited = error instanceof ApiError && error.code === "rate_limited" ? error : undefined;
  const [counted, setCounted] = useState<{ error: ApiError; left: number }>();
  const latest = useRef(retry);
  useEffect(() => {
    latest.current = retry;
  });
  useEffect(() => {
    if (!limited) return;
    const end = performance.now() + waitOf(limited) * 1000;
    const timer = setInterval(() => {
      const left = (end - performance.now()) / 1000;
      setCounted({ error: limited, left: Math.max(0, left) });
      if (left > 0 || document.hidden) return;
      clearInterval(timer);
      latest.current();
    }, TICK_MS);
    return () => clearInterval(timer);
  }, [limited]);
  if (!limited) return undefined;
  return counted?.error === limited ? counted.left : waitOf(limited);
}

function waitOf({ retryAfter }: ApiError): number {
  return Math.max(1, retryAfter ?? WAIT_S);
}

"use client";

import { useEffect, useState } from "react";

import type { ApiError } from "@/lib/api";

/** Counts the seconds of an error's `Retry-After` down to 0. */
export function useCountdown(problem: ApiError | undefined): number {
  const [until, setUntil] = useState(0);
  const [now, setNow] = useState(0);
  const [counted, setCounted] = useState<ApiError>();
  if (problem !== counted) {
    setCounted(problem);
    setUntil(0);
  }
  useEffect(() => {
    if (!problem) return;
    // The browser's clock measures only the distance, so it may be wrong.
    const end = performance.now() + (problem.retryAfter ?? 60) * 1000;
    const tick = () => {
      setUntil(end);
      setNow(performance.now());
    };
    tick();
    const timer = setInterval(tick, 500);
    return () => clearInterval(timer);
  }, [problem]);
  return problem ? Math.max(0, (until - now) / 1000) : 0;
}

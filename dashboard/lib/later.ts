"use client";

import { useEffect } from "react";

/** Loads scripts after the page is drawn, so that what they show can be opened without a network. `load` is stable. */
export function useLater(load: () => Promise<unknown>): void {
  useEffect(() => {
    load().catch(() => undefined);
  }, [load]);
}

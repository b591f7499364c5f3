"use client";

/** The distance between this device's clock and the server's, as responses show it. */
import { useSyncExternalStore } from "react";

/** Milliseconds from which the distance changes what a reader concludes from times. */
const NOTABLE_MS = 5 * 60_000;

let distanceMs = 0;
const watchers = new Set<() => void>();

/** Notes the `Date` of a response. It has whole seconds, and the response may have waited. */
export function noteServerTime(date: string | null): void {
  const server = date === null ? Number.NaN : Date.parse(date);
  if (Number.isNaN(server)) return;
  const measured = Date.now() - server;
  const next = Math.abs(measured) < NOTABLE_MS ? 0 : measured;
  // Small changes are delays of the network.
  if (Math.abs(next - distanceMs) < NOTABLE_MS) return;
  distanceMs = next;
  watchers.forEach((changed) => changed());
}

function watch(changed: () => void): () => void {
  watchers.add(changed);
  return () => watchers.delete(changed);
}

/** How far this device's clock is ahead, in milliseconds; 0 if the distance is small. */
export function useClockDistance(): number {
  return useSyncExternalStore(watch, () => distanceMs, () => 0);
}

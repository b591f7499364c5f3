"use client";

import { ClockAlert } from "lucide-react";

import { useFormat, useMessages } from "@/lib/language";
import { useClockDistance } from "@/lib/server-clock";

/** One bar while this device's clock is wrong: times that are relative to now are then wrong too. */
export function ClockBar() {
  const t = useMessages();
  const format = useFormat();
  const distance = useClockDistance();
  if (distance === 0) return null;
  const amount = format.left(new Date(Math.abs(distance)), new Date(0));
  return (
    <div className="offline" role="status">
      <ClockAlert className="i s" aria-hidden />
      {distance > 0 ? t.errors.clockAhead(amount) : t.errors.clockBehind(amount)}
    </div>
  );
}

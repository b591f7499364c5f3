"use client";

import { useQueryClient } from "@tanstack/react-query";
import { Hourglass } from "lucide-react";

import { Button } from "@/components/ui/button";
import { useMessages } from "@/lib/language";
import { cancelWaiting, retryWaiting, useIsWaiting } from "@/lib/waiting";

/** One bar below the top bar while the server has not responded for 10 s. */
export function WaitingBar() {
  const t = useMessages();
  const client = useQueryClient();
  if (!useIsWaiting()) return null;
  return (
    <div className="offline" role="status">
      <Hourglass className="i s" aria-hidden />
      <span>{t.errors.waiting}</span>
      <span className="row push">
        <Button size="small" onClick={() => void cancelWaiting(client)}>{t.errors.cancelWaiting}</Button>
        <Button size="small" onClick={() => void retryWaiting(client)}>{t.errors.retry}</Button>
      </span>
    </div>
  );
}

"use client";

import { CancelledError } from "@tanstack/react-query";
import { RotateCw } from "lucide-react";
import type { ReactNode } from "react";

import { Button } from "@/components/ui/button";
import { ApiError } from "@/lib/api";
import { countdown } from "@/lib/format";
import { useMessages } from "@/lib/language";
import { useRetry } from "@/lib/use-retry";

/** Nothing to show: what it is, why it is useful, one button. */
export function Empty({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <div className="empty">
      <svg className="art" width="72" height="40" viewBox="0 0 72 40" fill="none" aria-hidden>
        <path d="M0 36h72" stroke="var(--line-2)" />
        <path d="M26 36V18" stroke="currentColor" strokeWidth="4" />
        <path d="M26 21h34" stroke="var(--accent)" strokeWidth="5" strokeDasharray="8 3" />
      </svg>
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {action && <div className="row">{action}</div>}
    </div>
  );
}

/** The words for a failed request. */
export function useReason(): (error: unknown) => { title: string; text: string } {
  const t = useMessages();
  return (error) => {
    if (error instanceof CancelledError) return { title: t.errors.cancelled, text: t.errors.cancelledText };
    if (!(error instanceof ApiError)) return { title: t.errors.unknown, text: String(error) };
    if (error.code === "offline") return { title: t.errors.offline, text: t.errors.offlineText };
    if (error.code === "late") return { title: t.errors.late, text: t.errors.lateText };
    if (error.code === "rate_limited") return { title: t.errors.limited, text: t.errors.limitedText(error.retryAfter ?? 1) };
    if (error.status >= 500 || error.code === "unreadable") return { title: t.errors.failed(error.status), text: t.errors.failedText };
    return { title: t.errors.refused, text: error.message };
  };
}

/** A part of a page whose data could not be read. After a refusal by a rate limit it counts down, and tries again by itself. */
export function Failure({ error, onRetry }: { error: unknown; onRetry(): void }) {
  const t = useMessages();
  const { title, text } = useReason()(error);
  const left = useRetry(error, onRetry);
  const told = error instanceof ApiError ? error : undefined;
  return (
    <div className="empty" role="alert">
      <h2>{title}</h2>
      {left === undefined ? <p>{text}</p> : <p>{t.errors.limitedWait} <span role="timer" className="num">{countdown(left)}</span></p>}
      {told?.requestId && (
        <p className="t3 sm">
          <code className="mono">{told.code}</code> · {t.errors.requestId} <code className="mono">{told.requestId}</code>
        </p>
      )}
      <div className="row">
        <Button onClick={onRetry}>
          <RotateCw className="i s" aria-hidden />
          {t.errors.retry}
        </Button>
      </div>
    </div>
  );
}

/** Rows in the final geometry while data is loading. */
export function SkeletonRows({ rows, height = 40 }: { rows: number; height?: 34 | 40 | 52 }) {
  const t = useMessages();
  const heights = { 34: "h-[34px]", 40: "h-10", 52: "h-[52px]" };
  return (
    <div aria-busy aria-label={t.frame.loading} role="status">
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className={`flex items-center gap-6 border-b border-line px-4 last:border-b-0 ${heights[height]}`}>
          <i className="sk w-1/4" />
          <i className="sk w-1/6" />
          <i className="sk ml-auto w-1/5" />
        </div>
      ))}
    </div>
  );
}

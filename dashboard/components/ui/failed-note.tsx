"use client";

import { Note } from "@/components/ui/note";
import { useReason } from "@/components/ui/states";
import { ApiError } from "@/lib/api";
import { useMessages } from "@/lib/language";

/** Refusals for which the page has no better words than the server. */
function isRefusal(error: unknown): error is ApiError {
  return error instanceof ApiError && error.status >= 400 && error.status < 500 && !["unreadable", "rate_limited"].includes(error.code);
}

/** Why a request of the reader failed. With a title, which says what did not happen, the cause is below it. */
export function FailedNote({ title, error }: { title?: string; error: unknown }) {
  const t = useMessages();
  const reason = useReason();
  if (!error) return null;
  const isLost = error instanceof ApiError && ["offline", "late"].includes(error.code);
  const cause = isLost ? { ...reason(error), text: t.errors.lostText } : reason(error);
  if (title === undefined) return <Note tone="bad" title={cause.title}>{cause.text}</Note>;
  return <Note tone="bad" title={title}>{isRefusal(error) ? error.message : `${cause.title}. ${cause.text}`}</Note>;
}

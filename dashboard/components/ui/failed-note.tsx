"use client";

import { Note } from "@/components/ui/note";
import { useReason } from "@/components/ui/states";
import { ApiError } from "@/lib/api";

/** Refusals for which the page has no better words than the server. */
function isRefusal(error: unknown): error is ApiError {
  return error instanceof ApiError && error.status >= 400 && error.status < 500 && !["unreadable", "rate_limited"].includes(error.code);
}

/** Why a request failed. With a title, which says what did not happen, the cause is below it. */
export function FailedNote({ title, error }: { title?: string; error: unknown }) {
  const reason = useReason();
  if (!error) return null;
  const cause = reason(error);
  if (title === undefined) return <Note tone="bad" title={cause.title}>{cause.text}</Note>;
  return <Note tone="bad" title={title}>{isRefusal(error) ? error.message : `${cause.title}. ${cause.text}`}</Note>;
}

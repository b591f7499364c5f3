"use client";

import { useState } from "react";

/** A text that is not applied yet. */
export interface Draft {
  text: string;
  /** The digest of the running configuration from which the text was copied. */
  base: string;
}

/** The key in the tab's storage, which ends with the tab. */
const STORED_AS = "configuration-draft";
/** The server accepts bodies of at most 1 MiB. */
const CHARS_MAX = 1_000_000;

interface StoredDraft extends Draft {
  user: string;
}

/** The draft of a user in this tab; that of another user is not shown. */
export function readDraft(user: string): Draft | undefined {
  try {
    const stored = JSON.parse(sessionStorage.getItem(STORED_AS) ?? "null") as Partial<StoredDraft> | null;
    if (stored?.user !== user || typeof stored.text !== "string" || typeof stored.base !== "string") return undefined;
    return { text: stored.text, base: stored.base };
  } catch {
    return undefined;
  }
}

/** Stores the draft. A browser without storage keeps it in the page only. */
export function storeDraft(user: string, draft: Draft | undefined): void {
  try {
    if (draft && draft.text.length <= CHARS_MAX) sessionStorage.setItem(STORED_AS, JSON.stringify({ ...draft, user } satisfies StoredDraft));
    else sessionStorage.removeItem(STORED_AS);
  } catch {
    // The text is still in the page.
  }
}

/** The draft of a user, which survives a reload of the page. */
export function useDraft(user: string): [Draft | undefined, (draft: Draft | undefined) => void] {
  const [draft, setDraft] = useState(() => readDraft(user));
  const change = (next: Draft | undefined): void => {
    storeDraft(user, next);
    setDraft(next);
  };
  return [draft, change];
}

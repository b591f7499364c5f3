"use client";

import { useSyncExternalStore } from "react";

/** The shape of a one-time token (`access::ticket`). */
const TOKEN = /tgl_[A-Za-z0-9_-]{43}(?![A-Za-z0-9_-])/;

/** Finds the token in a link or a code that a person pasted. */
export function tokenIn(text: string): string | undefined {
  return TOKEN.exec(text)?.[0];
}

/** What the address of a page contained; an empty token without anything. */
let taken: { path: string; token: string } | undefined;

/**
 * Reads the token from the fragment, which browsers do not send, or from `?invite=`, and removes it from the address:
 * from here on it is only in the memory of this page.
 */
function take(): string {
  const { hash, search, pathname } = window.location;
  if (taken?.path === pathname) return taken.token;
  const token = hash.slice(1) || (new URLSearchParams(search).get("invite") ?? "");
  taken = { path: pathname, token };
  if (token !== "") window.history.replaceState(null, "", pathname);
  return token;
}

/** A second link that is opened in the same tab changes only the fragment. */
function subscribe(changed: () => void): () => void {
  const again = () => {
    if (window.location.hash === "") return;
    taken = undefined;
    changed();
  };
  window.addEventListener("hashchange", again);
  return () => window.removeEventListener("hashchange", again);
}

/** The token of the address; `undefined` in the exported HTML. */
export function useAddressToken(): string | undefined {
  return useSyncExternalStore<string | undefined>(subscribe, take, () => undefined);
}

"use client";

import { create } from "zustand";

import { setSessionOver } from "@/lib/api";

interface SessionState {
  /** `absent`: no session when the page was opened. `ended`: it ended while the page was open. */
  state: "assumed" | "absent" | "ended";
  /** When the session ended, in milliseconds. */
  endedAt: number;
  /** Whether this page has shown the data of a session. */
  wasSignedIn: boolean;
  /** The id of the user whose data this page has shown last. */
  user: string | undefined;
  /** Whether the server has not confirmed the last sign-out. */
  isSignOutFailed: boolean;
  /** Without an id, the user is not known yet. */
  signedIn(user?: string): void;
  end(): void;
  setSignOutFailed(isSignOutFailed: boolean): void;
}

/** Whether the server still accepts the session of this page. */
export const useSession = create<SessionState>()((set) => ({
  state: "assumed",
  endedAt: 0,
  wasSignedIn: false,
  user: undefined,
  isSignOutFailed: false,
  signedIn: (user) => {
    setSessionOver(false);
    set((before) => ({ state: "assumed", wasSignedIn: true, user: user ?? before.user }));
  },
  end: () =>
    set((before) => {
      setSessionOver(before.wasSignedIn);
      // Each request while the session is over ends it again.
      const endedAt = before.state === "assumed" ? Date.now() : before.endedAt;
      return { state: before.wasSignedIn ? "ended" : "absent", endedAt, isSignOutFailed: false };
    }),
  setSignOutFailed: (isSignOutFailed) => set({ isSignOutFailed }),
}));

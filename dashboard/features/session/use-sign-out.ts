"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";

import { useSession } from "@/features/session/session-state";
import { ApiError, api } from "@/lib/api";

/** Ends the session and forgets its data. If the server does not confirm it, the page stays and reports the failure. */
export function useSignOut(): () => void {
  const router = useRouter();
  const client = useQueryClient();
  const end = async (): Promise<void> => {
    const { setSignOutFailed } = useSession.getState();
    setSignOutFailed(false);
    try {
      await api("post", "/api/auth/logout");
    } catch (error) {
      // 401: the session has ended before.
      if (!(error instanceof ApiError) || !error.isSignedOut) return setSignOutFailed(true);
    }
    client.clear();
    router.replace("/dashboard/login");
  };
  return () => void end();
}

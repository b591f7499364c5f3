"use client";

import type { QueryClient } from "@tanstack/react-query";
import type { useRouter } from "next/navigation";

import { useSession } from "@/features/session/session-state";

/** Leaves the page of the user whose session ended, after the sign-in of another user. */
export function openForOtherUser(client: QueryClient, router: ReturnType<typeof useRouter>): void {
  router.replace("/dashboard/overview");
  // While the session is over, requests fail without being sent.
  useSession.getState().signedIn();
  // Pages that stay mounted must not show the data of the first user either.
  void client.resetQueries({ predicate: (query) => query.queryKey[0] !== "site" });
}

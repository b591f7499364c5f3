"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";

import { api } from "@/lib/api";

/** Ends the session and forgets its data. */
export function useSignOut(): () => void {
  const router = useRouter();
  const client = useQueryClient();
  return () => {
    void api("post", "/api/auth/logout")
      .catch(() => undefined)
      .finally(() => {
        client.clear();
        router.replace("/dashboard/login");
      });
  };
}

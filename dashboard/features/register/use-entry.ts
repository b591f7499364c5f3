"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";

import { useSession } from "@/features/session/session-state";
import { ApiError, api } from "@/lib/api";

interface Entry {
  /** Signs in with a password that was just chosen, and opens a page. */
  signIn(email: string, password: string, target: string): Promise<void>;
  /** Opens a page with the session that the server began. */
  open(target: string): void;
}

/** The error of a sign-up whose account does not accept its own password: another account has the address. */
export function maybeTaken(): ApiError {
  return new ApiError({ status: 401, code: "maybe_taken", message: "The address may have an account." });
}

export function useEntry(): Entry {
  const router = useRouter();
  const client = useQueryClient();
  const open = (target: string) => {
    useSession.getState().signedIn();
    client.clear();
    router.replace(target);
  };
  return {
    open,
    signIn: async (email, password, target) => {
      await api("post", "/api/auth/login", { body: { email, password } });
      open(target);
    },
  };
}

"use client";

import { LogOut } from "lucide-react";

import { Button } from "@/components/ui/button";
import { useSession } from "@/features/session/session-state";
import { useSignOut } from "@/features/session/use-sign-out";
import { useMessages } from "@/lib/language";

/** One bar below the top bar after a sign-out that the server has not confirmed. */
export function SignOutBar() {
  const t = useMessages();
  const signOut = useSignOut();
  if (!useSession((state) => state.isSignOutFailed)) return null;
  return (
    <div className="offline" role="alert">
      <LogOut className="i s" aria-hidden />
      <span>{t.errors.signOutFailed}</span>
      <span className="row push">
        <Button size="small" onClick={signOut}>{t.errors.retry}</Button>
      </span>
    </div>
  );
}

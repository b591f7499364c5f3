"use client";

import { useQueryClient } from "@tanstack/react-query";

import { Dialog } from "@/components/ui/dialog";
import { SignInForm } from "@/features/session/sign-in-form";
import { useSession } from "@/features/session/session-state";
import { useMessages } from "@/lib/language";

/** The sign-in over the page whose session ended. The page and what was typed into it stay. */
export function SessionEnded() {
  const t = useMessages();
  const client = useQueryClient();
  const done = () => {
    useSession.getState().signedIn();
    void client.invalidateQueries();
  };
  return (
    <Dialog title={t.signIn.ended} description={t.signIn.endedText}>
      <SignInForm onDone={done} />
    </Dialog>
  );
}

"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useRouter } from "next/navigation";

import { Dialog } from "@/components/ui/dialog";
import { openForOtherUser } from "@/features/session/other-user";
import { SignInForm } from "@/features/session/sign-in-form";
import { useSession } from "@/features/session/session-state";
import { ApiError, type Schemas, api } from "@/lib/api";
import { useMessages } from "@/lib/language";

/** The sign-in over the page whose session ended. For the same user, the page and what was typed into it stay. */
export function SessionEnded() {
  const t = useMessages();
  const client = useQueryClient();
  const router = useRouter();
  const done = async () => {
    const before = client.getQueryData<Schemas["Me"]>(["me"])?.user.id;
    const me = await api("get", "/api/me").catch((error: unknown) => {
      // A failure says nothing about the user: the form shows it, and the page stays.
      if (!(error instanceof ApiError) || !error.isSignedOut) throw error;
      return undefined;
    });
    if (me && me.user.id === before) {
      // While the session is over, requests fail without being sent.
      useSession.getState().signedIn();
      void client.invalidateQueries();
    } else {
      openForOtherUser(client, router);
    }
  };
  return (
    <Dialog title={t.signIn.ended} description={t.signIn.endedText}>
      <SignInForm onDone={done} />
    </Dialog>
  );
}

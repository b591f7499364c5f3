"use client";

import { Note } from "@/components/ui/note";
import { LinkForm } from "@/features/register/link-form";
import { useAddressToken } from "@/features/register/token";
import { AuthFrame } from "@/features/session/auth-frame";
import { useMessages } from "@/lib/language";

/** The page behind a one-time link, whose token is in the fragment. */
export function LinkPage() {
  const t = useMessages();
  const token = useAddressToken();
  if (token) return <LinkForm key={token} token={token} />;
  return (
    <AuthFrame title={t.register.none}>
      {token === "" && <Note tone="warn" title={t.register.noneText} />}
    </AuthFrame>
  );
}

"use client";

import { UserRound } from "lucide-react";
import { useState } from "react";

import { useMessages } from "@/lib/language";
import { useMe } from "@/lib/queries";

/** One bar once the session of this browser is that of another user than the one for whom the page was opened. */
export function UserBar() {
  const t = useMessages();
  const user = useMe().data?.user;
  const [first, setFirst] = useState(user);
  if (user && !first) setFirst(user);
  if (!user || !first || user.id === first.id) return null;
  return (
    <div className="offline" role="status">
      <UserRound className="i s" aria-hidden />
      <span>{t.errors.otherUser(user.name, first.name)}</span>
    </div>
  );
}

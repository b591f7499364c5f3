"use client";

import { Note } from "@/components/ui/note";
import type { ApiError } from "@/lib/api";
import { countdown } from "@/lib/format";
import { useMessages } from "@/lib/language";

/** How the user signs in. */
export type Way = "password" | "key";

/** Why a sign-in failed, in plain words. */
export function SignInProblem({ problem, way, wait }: { problem: ApiError; way: Way; wait: number }) {
  const t = useMessages();
  if (problem.code === "rate_limited") {
    return (
      <Note tone="warn" title={t.signIn.limited}>
        {t.signIn.limitedText(countdown(wait))} {way === "password" && t.signIn.limitedKey}
      </Note>
    );
  }
  if (problem.status === 0) return <Note tone="bad" title={t.signIn.offline}>{t.signIn.offlineText}</Note>;
  if (problem.code === "user_suspended") return <Note tone="bad" title={t.signIn.suspended}>{problem.message}</Note>;
  if (problem.status === 401) {
    const [title, text] = way === "password" ? [t.signIn.wrong, t.signIn.wrongText] : [t.signIn.wrongKey, problem.message];
    return <Note tone="bad" title={title}>{text}</Note>;
  }
  if (problem.status >= 500 || problem.code === "unreadable") {
    return <Note tone="bad" title={t.signIn.failed}>{t.signIn.failedText(problem.status)}</Note>;
  }
  return <Note tone="bad" title={t.signIn.failed}>{problem.message}</Note>;
}

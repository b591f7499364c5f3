"use client";

import Link from "next/link";

import { Note } from "@/components/ui/note";
import type { ApiError } from "@/lib/api";
import { countdown } from "@/lib/format";
import { useMessages } from "@/lib/language";
import type { Messages } from "@/messages/en";

export interface Words {
  tone: "warn" | "bad";
  title: string;
  text: string;
  /** Whether signing in is the next step. */
  signIn?: boolean;
}

/** Why an account was not created, or a password not saved, in plain words. */
export function wordsOf(problem: ApiError, wait: number, t: Messages): Words {
  const { register } = t;
  if (problem.code === "rate_limited") return { tone: "warn", title: register.limited, text: register.limitedText(countdown(wait)) };
  if (problem.code === "offline" || problem.code === "late") return { tone: "bad", title: register.offline, text: register.offlineText };
  if (problem.code === "maybe_taken") return { tone: "warn", title: register.maybeTaken, text: register.maybeTakenText, signIn: true };
  if (problem.status >= 500 || problem.code === "unreadable") {
    return { tone: "bad", title: register.failed, text: register.failedText(problem.status) };
  }
  switch (problem.code) {
    case "not_found":
      return { tone: "bad", title: register.gone, text: register.goneText };
    case "signup_closed":
      return problem.message.includes("invitation is")
        ? { tone: "bad", title: register.notInvited, text: register.notInvitedText }
        : { tone: "bad", title: register.closed, text: register.closedText };
    case "conflict":
      return problem.message.includes("admin")
        ? { tone: "bad", title: register.adminExists, text: register.adminExistsText, signIn: true }
        : { tone: "bad", title: register.taken, text: register.takenText, signIn: true };
    case "unprocessable":
      return problem.message.includes("easy to guess")
        ? { tone: "bad", title: register.weak, text: register.weakText }
        : { tone: "bad", title: register.invalid, text: problem.message };
    default:
      return { tone: "bad", title: register.invalid, text: problem.message };
  }
}

export function AccountProblem({ problem, wait }: { problem: ApiError; wait: number }) {
  const t = useMessages();
  const { tone, title, text, signIn } = wordsOf(problem, wait, t);
  return (
    <Note tone={tone} title={title}>
      {text}{" "}
      {signIn && <Link className="link" href="/dashboard/login">{t.register.signIn}</Link>}
    </Note>
  );
}

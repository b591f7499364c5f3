"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { z } from "zod";

import { Button } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { Note } from "@/components/ui/note";
import { AccountProblem } from "@/features/register/account-problem";
import { NewPasswordField, newPassword } from "@/features/register/new-password";
import { useCountdown } from "@/features/session/use-countdown";
import { ApiError, api } from "@/lib/api";
import { useForm } from "@/lib/form";
import { useMessages } from "@/lib/language";
import { useMe } from "@/lib/queries";

/** Changes the caller's password. A session of a key may not. */
export function PasswordForm() {
  const t = useMessages();
  const me = useMe();
  const [changes, setChanges] = useState(0);
  if (me.data?.key_id) return <Note title={t.account.byKey}>{t.account.byKeyText}</Note>;
  return (
    <>
      {changes > 0 && <Note tone="ok" title={t.account.changed}>{t.account.changedText}</Note>}
      <Fields key={changes} onChanged={() => setChanges((count) => count + 1)} />
    </>
  );
}

function Fields({ onChanged }: { onChanged(): void }) {
  const t = useMessages();
  const client = useQueryClient();
  const email = useMe().data?.user.email;
  const [problem, setProblem] = useState<ApiError>();
  const wait = useCountdown(problem?.code === "rate_limited" ? problem : undefined);
  const shape = z.object({ current: z.string().min(1, t.account.currentMissing), new: newPassword(t) });
  const form = useForm(shape, { current: "", new: "" }, async (body) => {
    setProblem(undefined);
    try {
      await api("post", "/api/auth/password", { body });
    } catch (error) {
      setProblem(error instanceof ApiError ? error : new ApiError({ status: 0, code: "unreadable", message: String(error) }));
      return;
    }
    void client.invalidateQueries({ queryKey: ["sessions"] });
    onChanged();
  });
  return (
    <form className="stack" onSubmit={form.submit} noValidate>
      {problem?.code === "forbidden" && <Note tone="bad" title={t.account.wrong}>{t.account.wrongText}</Note>}
      {problem && problem.code !== "forbidden" && (problem.code !== "rate_limited" || wait > 0) && <AccountProblem problem={problem} wait={wait} />}
      {/* Password managers need to know whose password it is. */}
      <input className="vh" type="email" autoComplete="username" readOnly tabIndex={-1} aria-hidden value={email ?? ""} />
      <Field label={t.account.current} type="password" autoComplete="current-password" {...form.field("current")} />
      <NewPasswordField label={t.register.newPassword} {...form.field("new")} />
      <div>
        <Button look="primary" type="submit" disabled={form.busy || wait > 0}>{form.busy ? t.register.working : t.account.change}</Button>
      </div>
    </form>
  );
}

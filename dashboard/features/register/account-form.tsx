"use client";

import { useState } from "react";
import { z } from "zod";

import { Button } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { AccountProblem } from "@/features/register/account-problem";
import { NewPasswordField, newPassword } from "@/features/register/new-password";
import { useCountdown } from "@/features/session/use-countdown";
import { ApiError } from "@/lib/api";
import { useForm } from "@/lib/form";
import { useMessages } from "@/lib/language";

export interface AccountFields {
  name: string;
  email: string;
  password: string;
}

interface AccountFormProps {
  /** Whether only the password is asked for. */
  onlyPassword?: boolean;
  /** The address that the link names; it cannot be changed. */
  email?: string | undefined;
  onSubmit(fields: AccountFields): Promise<void>;
}

const NAME_MAX = 200;

/** Name, address and password of an account. What was typed stays after every failure. */
export function AccountForm({ onlyPassword = false, email, onSubmit }: AccountFormProps) {
  const t = useMessages();
  const [problem, setProblem] = useState<ApiError>();
  const wait = useCountdown(problem?.code === "rate_limited" ? problem : undefined);
  const shape = z.object({
    name: onlyPassword ? z.string() : z.string().trim().min(1, t.register.nameMissing).max(NAME_MAX, t.register.nameLong),
    email: onlyPassword ? z.string() : z.string().trim().regex(/^[^\s@]+@[^\s@]+$/, t.register.emailMissing),
    password: newPassword(t),
  });
  const form = useForm(shape, { name: "", email: email ?? "", password: "" }, async (fields) => {
    setProblem(undefined);
    try {
      await onSubmit(fields);
    } catch (error) {
      setProblem(error instanceof ApiError ? error : new ApiError({ status: 0, code: "unreadable", message: String(error) }));
    }
  });
  const fixed = email !== undefined && { readOnly: true, hint: onlyPassword ? t.register.emailOfAccount : t.register.emailOfInvite };
  const word = onlyPassword ? t.register.submitPassword : t.register.submit;
  return (
    <form className="stack" onSubmit={form.submit} noValidate>
      {problem && (problem.code !== "rate_limited" || wait > 0) && <AccountProblem problem={problem} wait={wait} />}
      {!onlyPassword && <Field label={t.register.name} className="lg" autoComplete="name" {...form.field("name")} />}
      {(!onlyPassword || email !== undefined) && (
        <Field label={t.register.email} className="lg" type="email" autoComplete="username" {...form.field("email")} {...fixed} />
      )}
      <NewPasswordField label={onlyPassword ? t.register.newPassword : t.register.password} className="lg" {...form.field("password")} />
      <Button look="primary" size="large" type="submit" disabled={form.busy || wait > 0}>
        {form.busy ? t.register.working : word}
      </Button>
    </form>
  );
}

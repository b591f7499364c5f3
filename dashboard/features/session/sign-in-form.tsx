"use client";

import { KeyRound, Mail } from "lucide-react";
import { useState } from "react";
import { z } from "zod";

import { Button } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { Tabs } from "@/components/ui/tabs";
import { SignInProblem, type Way } from "@/features/session/sign-in-problem";
import { useCountdown } from "@/features/session/use-countdown";
import { ApiError, type Schemas, api } from "@/lib/api";
import { useForm } from "@/lib/form";
import { useMessages } from "@/lib/language";
import { useSite } from "@/lib/queries";

/** Signs in with a password or a key. What was typed stays after every failure, also of what follows the sign-in. */
export function SignInForm({ onDone }: { onDone(): void | Promise<void> }) {
  const t = useMessages();
  const [way, setWay] = useState<Way>("password");
  const [problem, setProblem] = useState<ApiError>();
  const wait = useCountdown(problem?.code === "rate_limited" ? problem : undefined);
  const submit = async (body: Schemas["Login"]) => {
    setProblem(undefined);
    try {
      await api("post", "/api/auth/login", { body });
      await onDone();
    } catch (error) {
      setProblem(error instanceof ApiError ? error : new ApiError({ status: 0, code: "unreadable", message: String(error) }));
    }
  };
  const change = (next: Way) => {
    setWay(next);
    setProblem(undefined);
  };
  const tabs = [
    { name: "password", label: <><Mail className="i s" aria-hidden />{t.signIn.withPassword}</> },
    { name: "key", label: <><KeyRound className="i s" aria-hidden />{t.signIn.withKey}</> },
  ] as const;
  return (
    <>
      {problem && (problem.code !== "rate_limited" || wait > 0) && (
        <div className="mb-5">
          <SignInProblem problem={problem} way={way} wait={wait} />
        </div>
      )}
      <Tabs label={t.signIn.way} tabs={tabs} value={way} onChange={change} listClass="seg full mb-5">
        {way === "password" ? <ByPassword onSubmit={submit} wait={wait} /> : <ByKey onSubmit={submit} wait={wait} />}
      </Tabs>
    </>
  );
}

interface FormProps {
  onSubmit(body: Schemas["Login"]): Promise<void>;
  /** Seconds until the next attempt. */
  wait: number;
}

function ByPassword({ onSubmit, wait }: FormProps) {
  const t = useMessages();
  const shape = z.object({ email: z.string().trim().min(1, t.signIn.emailMissing), password: z.string().min(1, t.signIn.passwordMissing) });
  const form = useForm(shape, { email: "", password: "" }, onSubmit);
  return (
    <form className="stack" onSubmit={form.submit} noValidate>
      <Field label={t.signIn.email} className="lg" type="email" autoComplete="username" {...form.field("email")} />
      <Field label={t.signIn.password} className="lg" type="password" autoComplete="current-password" {...form.field("password")} />
      <Button look="primary" size="large" type="submit" disabled={form.busy || wait > 0}>
        {form.busy ? t.signIn.working : t.signIn.submit}
      </Button>
    </form>
  );
}

function ByKey({ onSubmit, wait }: FormProps) {
  const t = useMessages();
  const prefix = useSite().data?.key_prefix ?? "";
  const shape = z.object({
    key: z.string().trim().min(1, t.signIn.keyMissing).refine((key) => key.startsWith(`${prefix}_`) && !/\s/.test(key), t.signIn.keyShape(prefix)),
  });
  const form = useForm(shape, { key: "" }, onSubmit);
  return (
    <form className="stack" onSubmit={form.submit} noValidate>
      <Field
        label={t.signIn.key}
        className="lg mono"
        type="password"
        autoComplete="off"
        spellCheck={false}
        placeholder={`${prefix}_…`}
        hint={t.signIn.keyHint}
        {...form.field("key")}
      />
      <Button look="primary" size="large" type="submit" disabled={form.busy || wait > 0}>
        {form.busy ? t.signIn.working : t.signIn.submitKey}
      </Button>
    </form>
  );
}

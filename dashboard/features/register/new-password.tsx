"use client";

import { type ComponentProps, useState } from "react";
import { z } from "zod";

import { Field } from "@/components/ui/field";
import { useMessages } from "@/lib/language";
import type { Messages } from "@/messages/en";

/** The bounds of `access::password`, in characters. */
const [MIN, MAX] = [12, 128];

function length(text: string): number {
  return Array.from(text).length;
}

/** A password that its user chooses. */
export function newPassword(t: Messages): z.ZodType<string, string> {
  return z.string().superRefine((text, context) => {
    const count = length(text);
    if (count < MIN) context.addIssue({ code: "custom", message: t.register.passwordShort(count) });
    if (count > MAX) context.addIssue({ code: "custom", message: t.register.passwordLong(count) });
  });
}

/** The field of a new password, which can be shown. */
export function NewPasswordField(props: ComponentProps<typeof Field>) {
  const t = useMessages();
  const [isShown, setIsShown] = useState(false);
  return (
    <div className="grid gap-2">
      <Field hint={t.register.passwordHint} autoComplete="new-password" {...props} type={isShown ? "text" : "password"} />
      <label className="chk">
        <input type="checkbox" checked={isShown} onChange={(event) => setIsShown(event.target.checked)} />
        {t.register.show}
      </label>
    </div>
  );
}

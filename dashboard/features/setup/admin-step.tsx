"use client";

import { z } from "zod";

import { Button } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { tokenIn } from "@/features/register/token";
import { useAdminWatch } from "@/features/setup/use-setup";
import { useForm } from "@/lib/form";
import { useMessages } from "@/lib/language";

/** The first admin comes from a one-time link that only the operator's terminal shows. */
export function AdminStep() {
  const t = useMessages();
  useAdminWatch(true);
  const shape = z.object({
    link: z.string().trim().min(1, t.setup.linkMissing).refine((text) => tokenIn(text) !== undefined, t.register.invitationShape),
  });
  // The fragment is not sent, so no log contains the token.
  const form = useForm(shape, { link: "" }, async ({ link }) => void window.open(`/link#${tokenIn(link) ?? ""}`, "_self"));
  return (
    <>
      <p className="t2 md max-w-[62ch]">{t.setup.adminText}</p>
      <ul className="ways">
        <li>{t.setup.adminTerminal}</li>
        <li>{t.setup.adminCommand} <code className="mono">setup-link</code></li>
      </ul>
      <form className="stack max-w-[520px]" onSubmit={form.submit} noValidate>
        <Field label={t.setup.link} hint={t.setup.linkHint} className="mono" autoComplete="off" spellCheck={false} {...form.field("link")} />
        <div>
          <Button look="primary" type="submit">{t.setup.openLink}</Button>
        </div>
      </form>
    </>
  );
}

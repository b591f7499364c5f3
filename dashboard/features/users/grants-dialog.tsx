"use client";

import { z } from "zod";

import { Field } from "@/components/ui/field";
import { FormDialog } from "@/components/ui/form-dialog";
import { type UserDetail, useUserChanges } from "@/features/users/use-users";
import { useForm } from "@/lib/form";
import { grantsOf, grantsText } from "@/lib/grants";
import { useMessages } from "@/lib/language";

/** Changes the roles of a user beside admin and member. */
export function GrantsDialog({ user, onClose }: { user: UserDetail; onClose(): void }) {
  const t = useMessages();
  const { change } = useUserChanges();
  const before = grantsText(user.grants);
  const form = useForm(z.object({ grants: z.string() }), { grants: before }, async ({ grants }) => {
    const body = { grants: grantsOf(grants) };
    if (grantsText(body.grants) === before) return onClose();
    await change.mutateAsync({ id: user.id, body }).then(onClose, () => undefined);
  });
  return (
    <FormDialog title={t.users.grantsTitle(user.name)} text={t.users.grantsText} action={t.users.save} isBusy={form.busy} error={change.error} onSubmit={form.submit} onClose={onClose}>
      <Field label={t.users.grants} hint={t.users.grantsHint} className="mono" autoComplete="off" autoFocus {...form.field("grants")} />
    </FormDialog>
  );
}

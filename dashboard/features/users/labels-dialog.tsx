"use client";

import { z } from "zod";

import { Field } from "@/components/ui/field";
import { FormDialog } from "@/components/ui/form-dialog";
import { type UserDetail, useUserChanges } from "@/features/users/use-users";
import { useForm } from "@/lib/form";
import { labelsOf, labelsText } from "@/lib/labels";
import { useMessages } from "@/lib/language";

/** Changes the labels of a user's requests. */
export function LabelsDialog({ user, onClose }: { user: UserDetail; onClose(): void }) {
  const t = useMessages();
  const { change } = useUserChanges();
  const before = labelsText(user.labels);
  const shape = z.object({ labels: z.string().refine((text) => labelsOf(text) !== undefined, t.users.labelsWrong) });
  const form = useForm(shape, { labels: before }, async ({ labels }) => {
    const body = { labels: labelsOf(labels) ?? user.labels };
    if (labelsText(body.labels) === before) return onClose();
    await change.mutateAsync({ id: user.id, body }).then(onClose, () => undefined);
  });
  return (
    <FormDialog title={t.users.labelsTitle(user.name)} text={t.users.labelsText} action={t.users.save} isBusy={form.busy} error={change.error} onSubmit={form.submit} onClose={onClose}>
      <Field label={t.users.labels} hint={t.users.labelsHint} className="mono" autoComplete="off" autoFocus {...form.field("labels")} />
    </FormDialog>
  );
}

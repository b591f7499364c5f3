"use client";

import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { FailedNote } from "@/components/ui/failed-note";
import { KeyFields } from "@/features/keys/key-fields";
import { EMPTY_KEY, budgetChanges, keyShape, newKeyOf } from "@/features/keys/key-form";
import { useKeyChanges } from "@/features/keys/use-keys";
import type { Schemas } from "@/lib/api";
import { useForm } from "@/lib/form";
import { useMessages } from "@/lib/language";
import { useMe } from "@/lib/queries";

const CURRENCY = "USD";

interface CreateDialogProps {
  /** The user of the key, if it is not the reader. */
  userId?: string | undefined;
  onClose(): void;
  /** `problem` is the reason why the key has no budgets. */
  onCreated(key: Schemas["ApiKeyWithSecret"], problem: string | undefined): void;
}

export function CreateDialog({ userId, onClose, onCreated }: CreateDialogProps) {
  const t = useMessages();
  const { create, budget } = useKeyChanges();
  // Such a key acts as the admin who signed in with a password.
  const offersAdmin = useMe().data?.acts_as === "admin" && !userId;
  const form = useForm(keyShape(t, EMPTY_KEY), EMPTY_KEY, async (fields) => {
    const key = await create.mutateAsync({ ...newKeyOf(fields), ...(userId && { user_id: userId }) }).catch(() => undefined);
    if (!key) return;
    // The secret must be shown, even if a budget is refused.
    const problem = await budget.mutateAsync({ id: key.id, changes: budgetChanges(EMPTY_KEY, fields, CURRENCY) }).then(
      () => undefined,
      (error: Error) => error.message,
    );
    onCreated(key, problem);
  });
  const footer = (
    <>
      <Button onClick={onClose}>{t.keys.cancel}</Button>
      <Button look="primary" type="submit" form="create-key" disabled={form.busy}>
        {t.keys.create}
      </Button>
    </>
  );
  return (
    <Dialog title={t.keys.createTitle} description={t.keys.createText} onClose={onClose} footer={footer}>
      <FailedNote title={t.keys.refused} error={create.error} />
      <form id="create-key" className="stack" onSubmit={form.submit} noValidate>
        <KeyFields form={form} currency={CURRENCY} offersAdmin={offersAdmin} />
      </form>
    </Dialog>
  );
}

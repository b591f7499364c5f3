"use client";

import { useState } from "react";
import { z } from "zod";

import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { FailedNote } from "@/components/ui/failed-note";
import { Field } from "@/components/ui/field";
import type { ApiKey } from "@/features/keys/key-state";
import { useKeyChanges } from "@/features/keys/use-keys";
import type { Schemas } from "@/lib/api";
import { useForm } from "@/lib/form";
import { useMessages } from "@/lib/language";

interface TaskProps {
  apiKey: ApiKey;
  onClose(): void;
}

const RECENT_MS = 86_400_000;

const GRACES = ["0", "1h", "24h", "7d"] as const;
type Grace = (typeof GRACES)[number];

export function RotateDialog({ apiKey, onClose, onRotated }: TaskProps & { onRotated(key: Schemas["ApiKeyWithSecret"]): void }) {
  const t = useMessages();
  const { rotate } = useKeyChanges();
  const [grace, setGrace] = useState<Grace>("24h");
  // A callback of `mutate` would be dropped with the dialog, and the secret is in this response only.
  const submit = () => void rotate.mutateAsync({ id: apiKey.id, grace: grace === "0" ? undefined : grace }).then(onRotated, () => undefined);
  const footer = (
    <>
      <Button onClick={onClose}>{t.keys.cancel}</Button>
      <Button look="primary" onClick={submit} disabled={rotate.isPending}>
        {t.keys.rotateSubmit}
      </Button>
    </>
  );
  return (
    <Dialog title={t.keys.rotateTitle(apiKey.label)} description={t.keys.rotateText} onClose={onClose} footer={footer}>
      <FailedNote title={t.keys.failed} error={rotate.error} />
      <fieldset className="grid gap-2.5">
        <legend className="mb-2 text-[0.8125rem] font-medium">{t.keys.grace}</legend>
        {GRACES.map((choice) => (
          <label key={choice} className="chk">
            <input type="radio" name="grace" value={choice} checked={choice === grace} onChange={() => setGrace(choice)} />
            {t.keys.graces[choice]}
          </label>
        ))}
      </fieldset>
    </Dialog>
  );
}

interface RevokeProps extends TaskProps {
  /** Whether the reader has looked the key up to stop it, so that nothing has to be typed. */
  isLeaked?: boolean;
  onRevoked(): void;
}

export function RevokeDialog({ apiKey, isLeaked = false, onClose, onRevoked }: RevokeProps) {
  const t = useMessages();
  const { revoke } = useKeyChanges();
  // Typing the label is asked for only if clients would notice at once. A use while the dialog is open adds no field to it.
  const [isRecent] = useState(() => !isLeaked && !!apiKey.last_used_at && Date.now() - new Date(apiKey.last_used_at).getTime() < RECENT_MS);
  const shape = z.object({ label: isRecent ? z.string().refine((label) => label.trim() === apiKey.label.trim(), t.keys.revokeWrong) : z.string() });
  const form = useForm(shape, { label: "" }, async () => {
    await revoke.mutateAsync(apiKey.id).then(onRevoked, () => undefined);
  });
  const footer = (
    <>
      <Button onClick={onClose}>{t.keys.cancel}</Button>
      <Button look="danger" type="submit" form="revoke-key" disabled={form.busy}>
        {t.keys.revoke}
      </Button>
    </>
  );
  return (
    <Dialog title={t.keys.revokeTitle(apiKey.label)} description={t.keys.revokeText} onClose={onClose} footer={footer}>
      <FailedNote title={t.keys.failed} error={revoke.error} />
      <form id="revoke-key" className="stack" onSubmit={form.submit} noValidate>
        {isRecent && <Field label={t.keys.revokeConfirm} hint={t.keys.revokeRecent(apiKey.label)} autoComplete="off" {...form.field("label")} />}
      </form>
    </Dialog>
  );
}

"use client";

import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { z } from "zod";

import { Button } from "@/components/ui/button";
import { FailedNote } from "@/components/ui/failed-note";
import { Field } from "@/components/ui/field";
import { Note } from "@/components/ui/note";
import { SelectField } from "@/components/ui/select-field";
import { realProviders } from "@/features/setup/setup-state";
import { type ApiError, type Schemas, api } from "@/lib/api";
import { useForm } from "@/lib/form";
import { useFormat, useMessages } from "@/lib/language";
import { useMe } from "@/lib/queries";

export interface AddedCredential {
  key: Schemas["ProviderKey"];
  test: Schemas["ProviderKeyTest"];
}

interface ProviderStepProps {
  providers: readonly Schemas["Provider"][];
  onAdded(added: AddedCredential): void;
  onSkip(): void;
  /** Whether a stored credential is tested or refused: the step then stays open, although the server reports a credential. */
  onHeld(isHeld: boolean): void;
}

/** Stores a provider's credential and tests it at once. A refused one can be removed or kept. */
export function ProviderStep({ providers, onAdded, onSkip, onHeld }: ProviderStepProps) {
  const t = useMessages();
  const [refused, setRefused] = useState<AddedCredential>();
  const added = (credential: AddedCredential) => {
    onHeld(false);
    onAdded(credential);
  };
  const removed = () => {
    onHeld(false);
    setRefused(undefined);
  };
  const hasMock = providers.some(({ kind }) => kind === "mock");
  if (providers.length === 0) return <Note tone="warn" title={t.setup.noProvider}>{t.setup.noProviderText}</Note>;
  return (
    <>
      <p className="t2 md max-w-[62ch]">{t.setup.providerText}</p>
      {refused ? (
        <Refused added={refused} onKeep={() => added(refused)} onAgain={added} onRemoved={removed} />
      ) : (
        <CredentialForm providers={realProviders(providers)} onHeld={onHeld} onTested={(tested) => (tested.test.ok ? added(tested) : setRefused(tested))} />
      )}
      {!refused && hasMock && (
        <p className="t2 md">
          {t.setup.mockText} <button type="button" className="link" onClick={onSkip}>{t.setup.mockSkip}</button>
        </p>
      )}
    </>
  );
}

/** Tests a stored credential; a test without a response counts as failed, because the credential is stored. */
async function tested(key: Schemas["ProviderKey"]): Promise<AddedCredential> {
  const test = await api("post", "/api/provider-keys/{id}/test", { path: { id: key.id } }).catch((error: ApiError) => {
    return { ok: false, latency_ms: 0, status: null, message: error.message };
  });
  return { key, test };
}

interface FormProps {
  providers: Schemas["Provider"][];
  onHeld(isHeld: boolean): void;
  onTested(added: AddedCredential): void;
}

function CredentialForm({ providers, onHeld, onTested }: FormProps) {
  const t = useMessages();
  const isAdmin = useMe().data?.acts_as === "admin";
  const add = useMutation<AddedCredential, ApiError, Schemas["NewProviderKey"]>({
    mutationFn: async (body) => tested(await api("post", "/api/provider-keys", { body })),
    onMutate: () => onHeld(true),
    onError: () => onHeld(false),
    onSuccess: onTested,
  });
  const shape = z.object({
    provider: z.string(),
    label: z.string().trim().min(1, t.keys.labelMissing).max(200, t.keys.labelLong),
    secret: z.string().trim().min(1, t.setup.secretMissing),
    users: z.string(),
  });
  const initial = { provider: providers[0]?.name ?? "", label: t.setup.labelFirst, secret: "", users: isAdmin ? "all" : "own" };
  const form = useForm(shape, initial, async ({ users, ...body }) => {
    await add.mutateAsync({ ...body, ...(users === "all" && { shared: true }) }).catch(() => undefined);
  });
  return (
    <form className="stack max-w-[620px]" onSubmit={form.submit} noValidate>
      <FailedNote error={add.error} />
      <div className="grid gap-4 sm:grid-cols-2">
        <SelectField label={t.setup.provider} options={providers.map(({ name }) => [name, name])} {...form.field("provider")} />
        <Field label={t.keys.label} autoComplete="off" {...form.field("label")} />
      </div>
      <Field label={t.setup.secret} hint={t.setup.secretHint} type="password" className="mono" autoComplete="off" {...form.field("secret")} />
      {isAdmin && <SelectField label={t.setup.usedBy} options={[["all", t.setup.usedByAll], ["own", t.setup.usedByOwn]]} {...form.field("users")} />}
      <div>
        <Button look="primary" type="submit" disabled={form.busy}>{form.busy ? t.setup.testing : t.setup.addCredential}</Button>
      </div>
    </form>
  );
}

interface RefusedProps {
  added: AddedCredential;
  onKeep(): void;
  onAgain(added: AddedCredential): void;
  onRemoved(): void;
}

function Refused({ added, onKeep, onAgain, onRemoved }: RefusedProps) {
  const t = useMessages();
  const format = useFormat();
  const client = useQueryClient();
  const [last, setLast] = useState(added);
  const again = useMutation({ mutationFn: () => tested(added.key), onSuccess: (next) => (next.test.ok ? onAgain(next) : setLast(next)) });
  const remove = useMutation<unknown, ApiError>({
    mutationFn: () => api("delete", "/api/provider-keys/{id}", { path: { id: added.key.id } }),
    onSuccess: async () => {
      // Until the list is read again, the next step would be open.
      await client.invalidateQueries({ queryKey: ["providers"] });
      onRemoved();
    },
  });
  const isBusy = again.isPending || remove.isPending;
  return (
    <>
      <Note tone="bad" title={t.setup.testFailed(added.key.provider, format.duration(last.test.latency_ms))}>{last.test.message}</Note>
      <FailedNote title={t.providers.failed} error={remove.error} />
      <div className="row wrap">
        <Button look="primary" disabled={isBusy} onClick={() => remove.mutate()}>{t.setup.replace}</Button>
        <Button disabled={isBusy} onClick={() => again.mutate()}>{again.isPending ? t.setup.testing : t.setup.testAgain}</Button>
        <Button look="ghost" disabled={isBusy} onClick={onKeep}>{t.setup.keepAnyway}</Button>
      </div>
    </>
  );
}

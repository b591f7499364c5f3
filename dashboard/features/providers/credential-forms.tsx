"use client";

import type { ReactNode } from "react";
import { z } from "zod";

import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { FailedNote } from "@/components/ui/failed-note";
import { Field } from "@/components/ui/field";
import { Note } from "@/components/ui/note";
import { SelectField } from "@/components/ui/select-field";
import { nameOf } from "@/features/providers/credential-table";
import { type Credential, useCredentialChanges } from "@/features/providers/use-providers";
import type { ApiError, Schemas } from "@/lib/api";
import { type Form, useForm } from "@/lib/form";
import { useMessages } from "@/lib/language";
import type { Messages } from "@/messages/en";

const LABEL_MAX = 200;

function labelShape(t: Messages): z.ZodString {
  return z.string().trim().min(1, t.providers.labelMissing).max(LABEL_MAX, t.providers.labelLong);
}

/** A pasted secret often has spaces around it; inside it they are a mistake, except in the JSON file of a service account. */
function secretShape(t: Messages): z.ZodString {
  return z
    .string()
    .trim()
    .regex(/^([!-~]{8,4096}|\{[\s!-~]{7,4095})$/, t.providers.secretWrong);
}

/** The fields of the form as a request. */
export function newCredentialShape(t: Messages): z.ZodType<Schemas["NewProviderKey"], Record<string, string>> {
  return z
    .object({ provider: z.string().min(1, t.providers.providerMissing), label: labelShape(t), secret: secretShape(t), shared: z.string() })
    .transform(({ provider, label, secret, shared }): Schemas["NewProviderKey"] => ({ provider, label, secret, shared: shared === "all" }));
}

interface FormDialogProps {
  id: string;
  title: string;
  description?: string;
  submit: string;
  /** Words above the reason of a refused change. */
  problem: string;
  error: ApiError | null;
  form: Pick<Form<Record<string, string>>, "submit" | "busy">;
  isDangerous?: boolean;
  onClose(): void;
  children?: ReactNode;
}

function FormDialog({ id, title, description, submit, problem, error, form, isDangerous = false, onClose, children }: FormDialogProps) {
  const t = useMessages();
  const footer = (
    <>
      <Button onClick={onClose}>{t.providers.cancel}</Button>
      <Button look={isDangerous ? "danger" : "primary"} type="submit" form={id} disabled={form.busy}>
        {submit}
      </Button>
    </>
  );
  return (
    <Dialog title={title} description={description} onClose={onClose} footer={footer}>
      <FailedNote title={problem} error={error} />
      <form id={id} className="stack" onSubmit={form.submit} noValidate autoComplete="off">
        {children}
      </form>
    </Dialog>
  );
}

function SecretField({ form }: { form: Form<{ secret: string }> }) {
  const t = useMessages();
  return <Field label={t.providers.secret} hint={t.providers.secretHint} type="password" autoComplete="off" spellCheck={false} className="mono" {...form.field("secret")} />;
}

interface AddCredentialProps {
  providers: readonly string[];
  /** The chosen provider. */
  provider: string;
  mayShare: boolean;
  onClose(): void;
  onStored(credential: Credential): void;
}

export function AddCredential({ providers, provider, mayShare, onClose, onStored }: AddCredentialProps) {
  const t = useMessages();
  const { create } = useCredentialChanges();
  const initial = { provider: providers.includes(provider) ? provider : (providers[0] ?? ""), label: "", secret: "", shared: mayShare ? "all" : "own" };
  const form = useForm(newCredentialShape(t), initial, async (body) => {
    await create.mutateAsync(body).then(onStored, () => undefined);
  });
  return (
    <FormDialog id="add-credential" title={t.providers.addTitle} description={t.providers.addText} submit={t.providers.add} problem={t.providers.refused} error={create.error} form={form} onClose={onClose}>
      <div className="grid gap-4 sm:grid-cols-2">
        <SelectField label={t.providers.provider} options={providers.map((name) => [name, name] as const)} {...form.field("provider")} />
        <Field label={t.providers.label} hint={t.providers.labelHint} autoComplete="off" autoFocus {...form.field("label")} />
      </div>
      <SecretField form={form} />
      {mayShare && (
        <SelectField label={t.providers.share} options={[["all", t.providers.shareAll], ["own", t.providers.shareOwn]]} {...form.field("shared")} />
      )}
    </FormDialog>
  );
}

interface ChangeProps {
  credential: Credential;
  onClose(): void;
}

export function ReplaceSecret({ credential, onClose, onStored }: ChangeProps & { onStored(credential: Credential): void }) {
  const t = useMessages();
  const { change } = useCredentialChanges();
  const form = useForm(z.object({ secret: secretShape(t) }), { secret: "" }, async ({ secret }) => {
    await change.mutateAsync({ id: credential.id, body: { secret } }).then(onStored, () => undefined);
  });
  return (
    <FormDialog id="replace-secret" title={t.providers.replaceTitle(nameOf(credential))} description={t.providers.replaceText} submit={t.providers.replace} problem={t.providers.failed} error={change.error} form={form} onClose={onClose}>
      <SecretField form={form} />
    </FormDialog>
  );
}

export function RenameCredential({ credential, onClose }: ChangeProps) {
  const t = useMessages();
  const { change } = useCredentialChanges();
  const form = useForm(z.object({ label: labelShape(t) }), { label: credential.label }, async ({ label }) => {
    await change.mutateAsync({ id: credential.id, body: { label } }).then(onClose, () => undefined);
  });
  return (
    <FormDialog id="rename-credential" title={t.providers.renameTitle(nameOf(credential))} submit={t.providers.save} problem={t.providers.failed} error={change.error} form={form} onClose={onClose}>
      <Field label={t.providers.label} hint={t.providers.labelHint} autoComplete="off" autoFocus {...form.field("label")} />
    </FormDialog>
  );
}

export function DeleteCredential({ credential, isLast, onClose }: ChangeProps & { isLast: boolean }) {
  const t = useMessages();
  const { remove } = useCredentialChanges();
  const form = useForm(z.object({}), {}, async () => {
    await remove.mutateAsync(credential.id).then(onClose, () => undefined);
  });
  return (
    <FormDialog id="delete-credential" title={t.providers.removeTitle(nameOf(credential))} description={t.providers.removeText} submit={t.providers.remove} problem={t.providers.failed} error={remove.error} form={form} isDangerous onClose={onClose}>
      {isLast && <Note tone="warn" title={t.providers.removeLast(credential.provider)} />}
    </FormDialog>
  );
}

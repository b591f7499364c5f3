"use client";

import { z } from "zod";

import { Button } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { FormDialog } from "@/components/ui/form-dialog";
import { Note } from "@/components/ui/note";
import { AdminTag } from "@/features/keys/admin-tag";
import { type ApiKey, hasEnded } from "@/features/keys/key-state";
import { ShortKey } from "@/features/keys/short-key";
import { useKeyLookup } from "@/features/keys/use-keys";
import type { Schemas } from "@/lib/api";
import { useForm } from "@/lib/form";
import { useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";

interface FindDialogProps {
  onRevoke(key: ApiKey): void;
  onOpen(id: string): void;
  onClose(): void;
}

const LAST4 = /^…?[0-9a-f]{4}$/i;
const KEY = /^[a-z0-9-]+_[0-9a-f]{32}$/;

/** What the reader typed or pasted, as the lookup takes it. */
export function lookupOf(text: string): Schemas["ApiKeyLookup"] | undefined {
  const known = text.trim();
  if (LAST4.test(known)) return { last4: known.replace("…", "").toLowerCase() };
  return KEY.test(known) ? { key: known } : undefined;
}

/** Finds a leaked key of any user. The pasted key is in the field and the body of one request only, never in the address. */
export function FindDialog({ onRevoke, onOpen, onClose }: FindDialogProps) {
  const t = useMessages();
  const now = useNow();
  const lookup = useKeyLookup();
  const shape = z.object({ known: z.string().refine((text) => lookupOf(text) !== undefined, t.keys.findWrong) });
  const form = useForm(shape, { known: "" }, async ({ known }) => {
    const body = lookupOf(known);
    if (body) await lookup.mutateAsync(body).catch(() => undefined);
  });
  const items = lookup.data?.items ?? [];
  return (
    <FormDialog title={t.keys.find} text={t.keys.findText} action={t.keys.findSubmit} isBusy={form.busy} error={lookup.error} onSubmit={form.submit} onClose={onClose}>
      <Field label={t.keys.findField} className="mono" autoComplete="off" spellCheck={false} autoFocus {...form.field("known")} />
      {lookup.data && items.length === 0 && <Note title={t.keys.findNone} />}
      {items.length > 0 && (
        <ul className="grid gap-2.5">
          {items.map((key) => (
            <li key={key.id} className="row md">
              <span className="min-w-0 flex-1">
                <bdi className="trunc block med" title={key.label}>{key.label}</bdi>
                <ShortKey apiKey={key} className="t3 sm" />
                {key.admin && <AdminTag />}
                <bdi className="trunc block t2 sm">{key.user.email ?? key.user.name}</bdi>
              </span>
              <Button size="small" onClick={() => onOpen(key.id)}>{t.keys.open}</Button>
              {hasEnded(key, now)
                ? <span className="tag">{key.revoked_at ? t.keys.revoked : t.keys.expired}</span>
                : <Button size="small" look="danger" onClick={() => onRevoke(key)}>{t.keys.revoke}</Button>}
            </li>
          ))}
        </ul>
      )}
    </FormDialog>
  );
}

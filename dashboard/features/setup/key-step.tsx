"use client";

import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { z } from "zod";

import { Button } from "@/components/ui/button";
import { FailedNote } from "@/components/ui/failed-note";
import { Field } from "@/components/ui/field";
import { type ApiError, type Schemas, api } from "@/lib/api";
import { useForm } from "@/lib/form";
import { useMessages } from "@/lib/language";
import { repeatHeaders } from "@/lib/repeats";

type CreatedKey = Schemas["ApiKeyWithSecret"];

/** Creates the first key. Its limits can be set later, on the page of keys. */
export function KeyStep({ onCreated }: { onCreated(key: CreatedKey): void }) {
  const t = useMessages();
  const [headersOf] = useState(repeatHeaders);
  const create = useMutation<CreatedKey, ApiError, string>({
    mutationFn: (label) => api("post", "/api/keys", { body: { label }, headers: headersOf(label) }),
    onSuccess: onCreated,
  });
  const shape = z.object({ label: z.string().trim().min(1, t.keys.labelMissing).max(200, t.keys.labelLong) });
  const form = useForm(shape, { label: t.setup.keyFirst }, async ({ label }) => {
    await create.mutateAsync(label).catch(() => undefined);
  });
  return (
    <>
      <p className="t2 md max-w-[62ch]">{t.setup.keyText}</p>
      <form className="stack max-w-[520px]" onSubmit={form.submit} noValidate>
        <FailedNote error={create.error} />
        <Field label={t.keys.label} hint={t.keys.labelHint} autoComplete="off" {...form.field("label")} />
        <div>
          <Button look="primary" type="submit" disabled={form.busy}>{t.keys.create}</Button>
        </div>
      </form>
    </>
  );
}

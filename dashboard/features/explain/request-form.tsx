"use client";

import { type ClipboardEvent, useEffect, useEffectEvent, useState } from "react";
import { z } from "zod";

import { Button } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { FieldFrame } from "@/components/ui/field-frame";
import { type Values, isKey, secretOf } from "@/features/explain/address";
import { fieldsOf, pastedRequest } from "@/features/explain/pasted";
import type { Question } from "@/features/explain/use-explanation";
import { useKeys } from "@/features/keys/use-keys";
import { useMessages } from "@/lib/language";
import { useSite } from "@/lib/queries";

const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const ID = z.uuid();

interface RequestFormProps {
  /** The values of the address. With a URL, the request is explained at once. */
  initial: Values;
  isBusy: boolean;
  onSubmit(values: Values, question: Question): void;
}

/** A request to explain. A curl command or the head of a request that is pasted as the URL fills the form. */
export function RequestForm({ initial, isBusy, onSubmit }: RequestFormProps) {
  const t = useMessages();
  const keys = useKeys();
  const prefix = useSite().data?.key_prefix ?? "";
  const [values, setValues] = useState(initial);
  const [isChecked, setChecked] = useState(false);
  const [isPasted, setPasted] = useState(false);
  const set = (change: Partial<Values>) => setValues((before) => ({ ...before, ...change }));
  const fields = fieldsOf(values.headers);
  const typed = values.key.trim();
  const errors = {
    url: values.url.trim() === "" ? t.explain.urlMissing : undefined,
    headers: typeof fields === "number" ? t.explain.headersWrong(String(fields)) : undefined,
    key: typed === "" || typed.includes("/") || isKey(typed, prefix) || ID.safeParse(typed).success ? undefined : t.explain.asWrong,
  };
  const shown = isChecked ? errors : { url: undefined, headers: undefined, key: undefined };
  const read = (text: string): boolean => {
    const request = pastedRequest(text);
    if (request) set(request);
    setPasted(request !== undefined);
    return request !== undefined;
  };
  const paste = (event: ClipboardEvent) => {
    // A plain URL is pasted as it is.
    if (read(event.clipboardData.getData("text/plain"))) event.preventDefault();
  };
  const ask = () => {
    if (typeof fields === "number" || errors.url !== undefined || errors.key !== undefined) return;
    const address = values.address.trim();
    // A pasted key stays in this form: the address and the request have its id.
    const key = isKey(typed, prefix) ? "" : typed;
    const secret = isKey(typed, prefix) ? typed : key === "" ? secretOf(values, prefix) : undefined;
    const request = { method: values.method, url: values.url.trim(), headers: fields, ...(key !== "" && { as: key }), ...(address !== "" && { address }) };
    onSubmit({ ...values, key, address }, { request, secret });
  };
  const begin = useEffectEvent(() => {
    if (initial.url !== "") ask();
  });
  useEffect(() => begin(), []);
  return (
    <form
      className="pb stack"
      aria-label={t.explain.request}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        setChecked(true);
        ask();
      }}
    >
      <div className="request-line">
        <Field label={t.explain.method} name="method" list="methods" autoComplete="off" value={values.method} onChange={(event) => set({ method: event.target.value.toUpperCase() })} />
        <datalist id="methods">{METHODS.map((method) => <option key={method} value={method} />)}</datalist>
        <Field
          label={t.explain.url}
          hint={isPasted ? t.explain.pasted : t.explain.urlHint}
          error={shown.url}
          name="url"
          className="mono"
          autoComplete="off"
          spellCheck={false}
          value={values.url}
          onPaste={paste}
          onChange={(event) => {
            setPasted(false);
            set({ url: event.target.value });
          }}
        />
      </div>
      <FieldFrame label={t.explain.headers} hint={t.explain.headersHint} error={shown.headers}>
        {(described) => (
          <textarea className="in mono" rows={4} spellCheck={false} autoComplete="off" {...described} value={values.headers} onChange={(event) => set({ headers: event.target.value })} />
        )}
      </FieldFrame>
      <div className="request-line even">
        <Field label={t.explain.as} hint={t.explain.asHint} error={shown.key} name="key" type={isKey(typed, prefix) ? "password" : "text"} list="keys" className="mono" autoComplete="off" spellCheck={false} value={values.key} onChange={(event) => set({ key: event.target.value })} />
        <datalist id="keys">
          {(keys.data ?? []).filter(({ revoked_at }) => !revoked_at).map(({ id, label, last4 }) => <option key={id} value={id}>{`${label} …${last4}`}</option>)}
        </datalist>
        <Field label={t.explain.address} hint={t.explain.addressHint} name="address" className="mono" autoComplete="off" value={values.address} onChange={(event) => set({ address: event.target.value })} />
      </div>
      <div className="row">
        <Button look="primary" type="submit" disabled={isBusy}>{isBusy ? t.explain.explaining : t.explain.explain}</Button>
      </div>
    </form>
  );
}

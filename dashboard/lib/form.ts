"use client";

import { type ChangeEvent, type FormEvent, useState } from "react";
import type { z } from "zod";

interface FieldState {
  name: string;
  value: string;
  error: string | undefined;
  onChange(event: ChangeEvent<HTMLInputElement | HTMLSelectElement>): void;
  onBlur(): void;
}

export interface Form<Values> {
  field(name: keyof Values & string): FieldState;
  submit(event: FormEvent<HTMLFormElement>): void;
  busy: boolean;
}

/**
 * A form of text fields and choices. A field is checked when it loses the focus, and on each change after an error. The focus goes
 * to the first wrong field; the values stay after a failed request.
 */
export function useForm<Values extends Record<string, string>, Output>(
  shape: z.ZodType<Output>,
  initial: Values,
  onSubmit: (output: Output) => Promise<void>,
): Form<Values> {
  const [values, setValues] = useState(initial);
  const [visited, setVisited] = useState<ReadonlySet<string>>(new Set());
  const [busy, setBusy] = useState(false);
  const checked = shape.safeParse(values);
  const errorOf = (name: string): string | undefined => {
    return checked.success ? undefined : checked.error.issues.find((issue) => issue.path[0] === name)?.message;
  };
  const visit = (names: string[]) => setVisited((before) => new Set([...before, ...names]));
  return {
    busy,
    field: (name) => ({
      name,
      value: values[name] ?? "",
      error: visited.has(name) ? errorOf(name) : undefined,
      onChange: (event) => setValues((before) => ({ ...before, [name]: event.target.value })),
      // An empty field that was only passed is no mistake yet.
      onBlur: () => values[name] !== "" && visit([name]),
    }),
    submit: (event) => {
      event.preventDefault();
      if (busy) return;
      if (!checked.success) {
        visit(Object.keys(values));
        const first = String(checked.error.issues[0]?.path[0] ?? "");
        const field = event.currentTarget.querySelector<HTMLInputElement>(`[name="${first}"]`);
        // A hidden field takes no focus.
        field?.closest("details")?.setAttribute("open", "");
        field?.focus();
        return;
      }
      setBusy(true);
      void onSubmit(checked.data).finally(() => setBusy(false));
    },
  };
}

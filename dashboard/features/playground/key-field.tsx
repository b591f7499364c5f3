"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { Button } from "@/components/ui/button";
import { Field } from "@/components/ui/field";
import { Note } from "@/components/ui/note";
import { useReason } from "@/components/ui/states";
import { useSession } from "@/features/session/session-state";
import { ApiError, api } from "@/lib/api";
import { useFormat, useMessages } from "@/lib/language";

/** Hours for which a key of this page is valid. */
const KEY_HOURS = 24;

interface KeyFieldProps {
  value: string;
  error: string | undefined;
  prefix: string;
  onChange(key: string): void;
}

/** Takes a key, or creates one. The secret goes to the page's state only, not into the cache of requests. */
export function KeyField({ value, error, prefix, onChange }: KeyFieldProps) {
  const t = useMessages();
  const format = useFormat();
  const client = useQueryClient();
  const reason = useReason();
  const [state, setState] = useState<"idle" | "creating">("idle");
  const [problem, setProblem] = useState<unknown>();
  const [created, setCreated] = useState<{ key: string; last4: string; until: string }>();
  const create = async () => {
    setState("creating");
    setProblem(undefined);
    const until = new Date(Date.now() + KEY_HOURS * 3_600_000).toISOString();
    try {
      const made = await api("post", "/api/keys", { body: { label: t.playground.keyLabel, expires_at: until } });
      setCreated({ key: made.key, last4: made.last4, until });
      onChange(made.key);
      void client.invalidateQueries({ queryKey: ["keys"] });
    } catch (failure) {
      setProblem(failure);
      if (failure instanceof ApiError && failure.isSignedOut) useSession.getState().end();
    } finally {
      setState("idle");
    }
  };
  const isCreated = created !== undefined && created.key === value;
  const hint = isCreated ? t.playground.keyCreated(created.last4, format.moment(created.until)) : t.playground.keyHint;
  return (
    <div className="grid gap-2">
      <Field
        label={t.playground.key}
        name="gateway-key"
        type="password"
        autoComplete="off"
        spellCheck={false}
        className="mono"
        placeholder={`${prefix}_…`}
        value={value}
        hint={hint}
        error={error}
        onChange={(event) => onChange(event.target.value.trim())}
      />
      {problem !== undefined && <Note tone="bad" title={t.playground.keyRefused}>{reason(problem).text}</Note>}
      {value === "" && (
        <Button size="small" className="justify-self-start" disabled={state === "creating"} onClick={() => void create()}>
          {state === "creating" ? t.playground.keyCreating : t.playground.keyCreate}
        </Button>
      )}
    </div>
  );
}

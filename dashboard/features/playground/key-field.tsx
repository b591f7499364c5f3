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
import { repeatHeaders } from "@/lib/repeats";

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
  const [headersOf] = useState(repeatHeaders);
  // The expiry of a request without a response, whose repeat must be equal.
  const [repeated, setRepeated] = useState<string>();
  const [created, setCreated] = useState<{ key: string; last4: string; until: string }>();
  const create = async () => {
    setState("creating");
    setProblem(undefined);
    const until = repeated ?? new Date(Date.now() + KEY_HOURS * 3_600_000).toISOString();
    setRepeated(until);
    try {
      const body = { label: t.playground.keyLabel, expires_at: until };
      const made = await api("post", "/api/keys", { body, headers: headersOf(body) });
      setRepeated(undefined);
      setCreated({ key: made.key, last4: made.last4, until });
      onChange(made.key);
      void client.invalidateQueries({ queryKey: ["keys"] });
    } catch (failure) {
      setProblem(failure);
      // The server would refuse the repeat too.
      if (failure instanceof ApiError && [409, 422].includes(failure.status)) setRepeated(undefined);
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

"use client";

import { useState } from "react";

import { Button } from "@/components/ui/button";
import { CopyButton } from "@/components/ui/copy-button";
import { Dialog } from "@/components/ui/dialog";
import { Note } from "@/components/ui/note";
import type { Schemas } from "@/lib/api";
import { useFormat, useMessages } from "@/lib/language";
import { useSite } from "@/lib/queries";

interface SecretDialogProps {
  created: Schemas["ApiKeyWithSecret"];
  /** Whether the secret replaced another one. */
  isRotation: boolean;
  /** Why the key has no budgets. */
  problem?: string | undefined;
  onDone(): void;
}

/** Shows a secret once. Only the button closes the dialog, after the reader has confirmed that the secret is stored. */
export function SecretDialog({ created, isRotation, problem, onDone }: SecretDialogProps) {
  const t = useMessages();
  const format = useFormat();
  const site = useSite();
  const [isStored, setIsStored] = useState(false);
  const previous = created.previous ? t.keys.rotatedText(format.moment(created.previous.until)) : t.keys.rotatedNow;
  const llm = site.data?.llm;
  const call = llm?.example_url && llm.example_body
    ? `curl -N '${llm.example_url}' \\\n  -H 'Authorization: Bearer ${created.key}' \\\n  -H 'Content-Type: application/json' \\\n  -d '${llm.example_body}'`
    : undefined;
  const footer = (
    <>
      <label className="chk mr-auto">
        <input type="checkbox" checked={isStored} onChange={(event) => setIsStored(event.target.checked)} />
        {t.keys.stored}
      </label>
      <Button look="primary" disabled={!isStored} onClick={onDone}>
        {t.keys.done}
      </Button>
    </>
  );
  return (
    <Dialog
      title={isRotation ? t.keys.rotatedTitle(created.label) : t.keys.createdTitle(created.label)}
      description={isRotation ? previous : t.keys.createdText}
      footer={footer}
    >
      {problem !== undefined && <Note tone="warn" title={t.keys.noBudgets}>{problem}</Note>}
      <div className="secret">
        <code data-testid="secret">{created.key}</code>
        <CopyButton text={created.key} what={t.keys.secret} look="primary" withWord />
      </div>
      {call && (
        <div className="code">
          <div className="ch">
            <span className="px-2.5 text-xs font-medium text-text-2">{t.keys.firstCall}</span>
            <CopyButton text={call} what={t.keys.firstCall} withWord />
          </div>
          <pre className="max-h-40" tabIndex={0} aria-label={t.keys.firstCall}>{call}</pre>
        </div>
      )}
    </Dialog>
  );
}

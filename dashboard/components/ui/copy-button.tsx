"use client";

import { Check, Copy } from "lucide-react";
import { useEffect, useState } from "react";

import { Button } from "@/components/ui/button";
import { useMessages } from "@/lib/language";

/** Milliseconds for which the button confirms. */
const CONFIRM_MS = 1600;

interface CopyButtonProps {
  text: string;
  /** What is copied, for screen readers. */
  what: string;
  look?: "ghost" | "primary" | "plain";
  withWord?: boolean;
  onCopied?(): void;
}

export function CopyButton({ text, what, look = "ghost", withWord = false, onCopied }: CopyButtonProps) {
  const t = useMessages();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), CONFIRM_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = async () => {
    await write(text);
    setCopied(true);
    onCopied?.();
  };
  const Icon = copied ? Check : Copy;
  return (
    <Button look={look} size="small" icon={!withWord} className="push" aria-label={withWord ? undefined : t.copy.what(what)} onClick={() => void copy()}>
      <Icon className="i s" aria-hidden />
      {withWord && <span aria-live="polite">{copied ? t.copy.copied : t.copy.copy}</span>}
      {!withWord && <span className="vh" aria-live="polite">{copied ? t.copy.copied : ""}</span>}
    </Button>
  );
}

/** Browsers offer the clipboard on HTTPS and loopback only; elsewhere a selection is copied. */
async function write(text: string): Promise<void> {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "vh";
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

"use client";

import { Check, Copy, X } from "lucide-react";
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
}

export function CopyButton({ text, what, look = "ghost", withWord = false }: CopyButtonProps) {
  const t = useMessages();
  const [result, setResult] = useState<"copied" | "failed">();
  useEffect(() => {
    if (result !== "copied") return;
    const timer = setTimeout(() => setResult(undefined), CONFIRM_MS);
    return () => clearTimeout(timer);
  }, [result]);
  const copy = async (button: HTMLElement) => {
    const isCopied = await write(text, button);
    setResult(isCopied ? "copied" : "failed");
  };
  const Icon = result === "copied" ? Check : result === "failed" ? X : Copy;
  return (
    <Button look={look} size="small" icon={!withWord} className="push" aria-label={withWord ? undefined : t.copy.what(what)} onClick={(event) => void copy(event.currentTarget)}>
      <Icon className="i s" aria-hidden />
      {withWord && <span aria-live="polite">{result ? t.copy[result] : t.copy.copy}</span>}
      {!withWord && <span className="vh" aria-live="polite">{result ? t.copy[result] : ""}</span>}
    </Button>
  );
}

/** Whether the text was copied. Browsers offer the clipboard on HTTPS and loopback only; elsewhere a selection is copied. */
async function write(text: string, button: HTMLElement): Promise<boolean> {
  if (navigator.clipboard) return navigator.clipboard.writeText(text).then(() => true, () => false);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "vh";
  // A modal dialog takes the focus back from elements outside of it.
  (button.closest("[role=dialog]") ?? document.body).append(area);
  area.focus({ preventScroll: true });
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  button.focus({ preventScroll: true });
  return isCopied;
}

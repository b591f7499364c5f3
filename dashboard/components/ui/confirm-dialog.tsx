"use client";

import type { ReactNode } from "react";

import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { FailedNote } from "@/components/ui/failed-note";
import { useMessages } from "@/lib/language";

interface ConfirmDialogProps {
  title: string;
  text: string;
  /** The verb and the object, as on the button that opened the dialog. */
  action: string;
  look?: "danger" | "primary";
  isBusy: boolean;
  error: unknown;
  onConfirm(): void;
  onClose(): void;
  children?: ReactNode;
}

/** Asks before a change that other people notice. */
export function ConfirmDialog({ title, text, action, look = "danger", isBusy, error, onConfirm, onClose, children }: ConfirmDialogProps) {
  const t = useMessages();
  const footer = (
    <>
      <Button onClick={onClose}>{t.frame.cancel}</Button>
      <Button look={look} disabled={isBusy} onClick={onConfirm}>{action}</Button>
    </>
  );
  return (
    <Dialog title={title} description={text} onClose={onClose} footer={footer}>
      <FailedNote error={error} />
      {children}
    </Dialog>
  );
}

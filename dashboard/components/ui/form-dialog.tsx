"use client";

import { type FormEvent, type ReactNode, useId } from "react";

import { Button } from "@/components/ui/button";
import { Dialog } from "@/components/ui/dialog";
import { FailedNote } from "@/components/ui/failed-note";
import { useMessages } from "@/lib/language";

interface FormDialogProps {
  title: string;
  text?: string;
  /** The words of the button that sends the form. */
  action: string;
  isBusy: boolean;
  error: unknown;
  onSubmit(event: FormEvent<HTMLFormElement>): void;
  onClose(): void;
  children: ReactNode;
}

/** A form in a dialog. What was typed stays after a failure, which is shown above it. */
export function FormDialog({ title, text, action, isBusy, error, onSubmit, onClose, children }: FormDialogProps) {
  const t = useMessages();
  const form = useId();
  const footer = (
    <>
      <Button onClick={onClose}>{t.frame.cancel}</Button>
      <Button look="primary" type="submit" form={form} disabled={isBusy}>{action}</Button>
    </>
  );
  return (
    <Dialog title={title} description={text} onClose={onClose} footer={footer}>
      <FailedNote error={error} />
      <form id={form} className="stack" onSubmit={onSubmit} noValidate>{children}</form>
    </Dialog>
  );
}

"use client";

import * as Radix from "@radix-ui/react-dialog";
import { X } from "lucide-react";
import type { ReactNode } from "react";

import { Button } from "@/components/ui/button";
import { useMessages } from "@/lib/language";

interface DialogProps {
  title: string;
  description?: string | undefined;
  /** Without it, neither Esc nor a click outside closes the dialog. */
  onClose?: (() => void) | undefined;
  footer?: ReactNode;
  children: ReactNode;
}

/**
 * A modal dialog: the focus stays inside and returns. Radix's own overlay is not used, because it inserts a style
 * element, which the Content-Security-Policy forbids.
 */
export function Dialog({ title, description, onClose, footer, children }: DialogProps) {
  const t = useMessages();
  const stay = (event: Event) => {
    if (!onClose) event.preventDefault();
  };
  return (
    <Radix.Root open onOpenChange={(open) => !open && onClose?.()}>
      <Radix.Portal>
        <div className="scrim">
          <Radix.Content className="dialog" onEscapeKeyDown={stay} onInteractOutside={stay} {...(description ? {} : { "aria-describedby": undefined })}>
            <div className="dh">
              <div className="min-w-0">
                <Radix.Title asChild>
                  <h2>{title}</h2>
                </Radix.Title>
                {description && <Radix.Description className="t2 md">{description}</Radix.Description>}
              </div>
              {onClose && (
                <Radix.Close asChild>
                  <Button look="ghost" icon className="push" aria-label={t.frame.close}>
                    <X className="i" aria-hidden />
                  </Button>
                </Radix.Close>
              )}
            </div>
            <div className="db">{children}</div>
            {footer && <div className="df">{footer}</div>}
          </Radix.Content>
        </div>
      </Radix.Portal>
    </Radix.Root>
  );
}

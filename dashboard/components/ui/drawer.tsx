"use client";

import { X } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef } from "react";

import { Button } from "@/components/ui/button";
import { useMessages } from "@/lib/language";

interface DrawerProps {
  title: ReactNode;
  /** The line below the title. */
  sub?: ReactNode;
  /** Controls beside the button that closes the drawer. */
  actions?: ReactNode;
  onClose(): void;
  children: ReactNode;
}

/** One row of a list in full. The drawer is not modal: the list behind it stays usable, and the focus returns to its row. */
export function Drawer({ title, sub, actions, onClose, children }: DrawerProps) {
  const t = useMessages();
  const id = useId();
  const drawer = useRef<HTMLElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    drawer.current?.focus();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  useEffect(() => {
    const close = (event: KeyboardEvent) => {
      // A dialog or a menu above the drawer closes first.
      const isAbove = document.querySelector("[role=dialog], [role=menu]") !== null;
      if (event.key === "Escape" && !event.defaultPrevented && !isAbove) onClose();
    };
    document.addEventListener("keydown", close);
    return () => document.removeEventListener("keydown", close);
  }, [onClose]);
  return (
    <aside className="drawer" aria-labelledby={id} ref={drawer} tabIndex={-1}>
      <div className="dwh">
        <div className="min-w-0">
          <h2 id={id} className="row wrap gap-2">
            {title}
          </h2>
          {sub && <div className="t3 sm trunc mt-0.5">{sub}</div>}
        </div>
        <div className="row push gap-0">
          {actions}
          <Button look="ghost" size="small" icon aria-label={t.frame.close} onClick={onClose}>
            <X className="i" aria-hidden />
          </Button>
        </div>
      </div>
      <div className="dwb" tabIndex={0}>{children}</div>
    </aside>
  );
}

"use client";

import { X } from "lucide-react";
import { type ReactNode, useEffect, useId, useRef } from "react";

import { Button } from "@/components/ui/button";
import { useMessages } from "@/lib/language";

interface DrawerProps {
  title: ReactNode;
  /** The line below the title. */
  sub?: ReactNode;
  onClose(): void;
  children: ReactNode;
}

/** Details beside a list. The drawer is not modal: the list stays usable, and the focus returns to its row. */
export function Drawer({ title, sub, onClose, children }: DrawerProps) {
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
          <h2 id={id} className="row wrap gap-2">{title}</h2>
          {sub && <div className="t3 sm trunc mt-0.5">{sub}</div>}
        </div>
        <Button look="ghost" size="small" icon className="push" aria-label={t.frame.close} onClick={onClose}>
          <X className="i" aria-hidden />
        </Button>
      </div>
      <div className="dwb">{children}</div>
    </aside>
  );
}

"use client";

import * as Menu from "@radix-ui/react-dropdown-menu";
import { Ban, Ellipsis, Pencil, RefreshCw } from "lucide-react";

import { buttonClass } from "@/components/ui/button";
import type { ApiKey } from "@/features/keys/key-state";
import { useMessages } from "@/lib/language";

export interface KeyTask {
  kind: "edit" | "rotate" | "revoke";
  key: ApiKey;
}

/** The menu of a key. It is not modal, because Radix would insert a style element, which the policy forbids. */
export function KeyActions({ apiKey, onTask }: { apiKey: ApiKey; onTask(task: KeyTask): void }) {
  const t = useMessages();
  const items = [
    { kind: "edit", icon: Pencil, label: t.keys.edit },
    { kind: "rotate", icon: RefreshCw, label: t.keys.rotate },
    { kind: "revoke", icon: Ban, label: t.keys.revoke },
  ] as const;
  return (
    <Menu.Root modal={false}>
      <Menu.Trigger className={buttonClass({ look: "ghost", size: "small", icon: true })} aria-label={t.keys.actionsFor(apiKey.label)}>
        <Ellipsis className="i" aria-hidden />
      </Menu.Trigger>
      <Menu.Portal>
        <Menu.Content className="menu" align="end" sideOffset={4}>
          {items.map(({ kind, icon: Icon, label }) => (
            <Menu.Item key={kind} className={kind === "revoke" ? "bad" : undefined} onSelect={() => onTask({ kind, key: apiKey })}>
              <Icon className="i s" aria-hidden />
              {label}
            </Menu.Item>
          ))}
        </Menu.Content>
      </Menu.Portal>
    </Menu.Root>
  );
}

"use client";

import { Ban, Pencil, RefreshCw } from "lucide-react";

import { ActionMenu, type MenuAction } from "@/components/ui/action-menu";
import type { ApiKey } from "@/features/keys/key-state";
import { useMessages } from "@/lib/language";

export interface KeyTask {
  kind: "edit" | "rotate" | "revoke";
  key: ApiKey;
  /** The reader has looked the key up to stop it. */
  isLeaked?: boolean;
}

/** The menu of a key. */
export function KeyActions({ apiKey, onTask }: { apiKey: ApiKey; onTask(task: KeyTask): void }) {
  const t = useMessages();
  const task = (kind: KeyTask["kind"]) => () => onTask({ kind, key: apiKey });
  const actions: MenuAction[] = [
    { name: t.keys.edit, icon: Pencil, onSelect: task("edit") },
    { name: t.keys.rotate, icon: RefreshCw, onSelect: task("rotate") },
    { name: t.keys.revoke, icon: Ban, isDangerous: true, onSelect: task("revoke") },
  ];
  return <ActionMenu label={t.keys.actionsFor(apiKey.label)} actions={actions} />;
}

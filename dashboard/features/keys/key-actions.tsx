"use client";

import { Ban, Pencil, RefreshCw, Route } from "lucide-react";
import { useRouter } from "next/navigation";

import { ActionMenu, type MenuAction } from "@/components/ui/action-menu";
import { explainKeyLink } from "@/features/explain/address";
import type { ApiKey } from "@/features/keys/key-state";
import { useMessages } from "@/lib/language";
import { useMe } from "@/lib/queries";

export interface KeyTask {
  kind: "edit" | "rotate" | "revoke";
  key: ApiKey;
  /** The reader has looked the key up to stop it. */
  isLeaked?: boolean;
}

/** The menu of a key. */
export function KeyActions({ apiKey, onTask }: { apiKey: ApiKey; onTask(task: KeyTask): void }) {
  const t = useMessages();
  const router = useRouter();
  const isAdmin = useMe().data?.acts_as === "admin";
  const task = (kind: KeyTask["kind"]) => () => onTask({ kind, key: apiKey });
  const actions: MenuAction[] = [
    { name: t.keys.edit, icon: Pencil, onSelect: task("edit") },
    { name: t.keys.rotate, icon: RefreshCw, onSelect: task("rotate") },
    // An admin key sends no requests to routes and models.
    ...(isAdmin && !apiKey.admin ? [{ name: t.keys.explain, icon: Route, onSelect: () => router.push(explainKeyLink(apiKey.id)) }] : []),
    { name: t.keys.revoke, icon: Ban, isDangerous: true, onSelect: task("revoke") },
  ];
  return <ActionMenu label={t.keys.actionsFor(apiKey.label)} actions={actions} />;
}

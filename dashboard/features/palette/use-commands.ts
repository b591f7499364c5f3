"use client";

import { BookOpen, Box, FileCode, KeyRound, Keyboard, Languages, Layers, LogOut, Moon, Plus, User } from "lucide-react";
import { useRouter } from "next/navigation";

import { useAdminPages, usePages } from "@/features/frame/use-pages";
import { useKeys } from "@/features/keys/use-keys";
import { useModels } from "@/features/models/use-models";
import type { Command } from "@/features/palette/commands";
import { usePlans } from "@/features/plans/use-plans";
import { PAGE_KEYS } from "@/features/palette/shortcuts";
import { useSignOut } from "@/features/session/use-sign-out";
import { useUsers } from "@/features/users/use-users";
import { useLocale, useMessages } from "@/lib/language";
import { toggleTheme, usePreferences } from "@/lib/preferences";
import { useMe } from "@/lib/queries";

/** Opens a page that is not a part of the dashboard. */
function leave(href: string): () => void {
  return () => void open(href, "_self");
}

/** Pages, actions, keys in the order of their last use, models, and for admins users and plans. */
export function useCommands(onHelp: () => void): Command[] {
  const t = useMessages();
  const router = useRouter();
  const locale = useLocale();
  const keys = useKeys();
  const models = useModels();
  const isAdmin = useMe().data?.acts_as === "admin";
  const users = useUsers("", isAdmin);
  const plans = usePlans(isAdmin);
  const signOut = useSignOut();
  const go = (href: string) => () => router.push(href);
  const pages = [...usePages(), ...useAdminPages()].map(({ href, icon, name }): Command => ({ id: `page-${name}`, group: "pages", label: t.frame[name], icon, ...(PAGE_KEYS[name] ? { keys: `G ${PAGE_KEYS[name].toUpperCase()}` } : {}), run: go(href) }));
  const actions: Command[] = [
    { id: "create-key", group: "actions", label: t.keys.create, icon: Plus, keys: "C", run: go("/dashboard/keys?create=1") },
    { id: "theme", group: "actions", label: t.frame.changeTheme, icon: Moon, keys: "T", run: toggleTheme },
    { id: "language", group: "actions", label: t.palette.language, icon: Languages, run: () => usePreferences.getState().setLocale(locale === "en" ? "id" : "en") },
    { id: "shortcuts", group: "actions", label: t.palette.shortcuts, icon: Keyboard, keys: "?", run: onHelp },
    { id: "documentation", group: "actions", label: t.frame.documentation, icon: BookOpen, run: leave("/docs") },
    { id: "reference", group: "actions", label: t.frame.apiReference, icon: FileCode, run: leave("/docs/api") },
    { id: "sign-out", group: "actions", label: t.frame.signOut, icon: LogOut, run: signOut },
  ];
  const recent = (keys.data ?? []).filter((key) => !key.revoked_at).sort((one, other) => (other.last_used_at ?? "").localeCompare(one.last_used_at ?? ""));
  return [
    ...pages,
    ...actions,
    ...recent.map((key): Command => ({ id: `key-${key.id}`, group: "keys", label: `${key.label} …${key.last4}`, icon: KeyRound, run: go(`/dashboard/keys?q=${encodeURIComponent(key.label)}`) })),
    ...(models.data ?? []).map((model): Command => ({ id: `model-${model.name}`, group: "models", label: model.name, icon: Box, run: go(`/dashboard/playground?model=${encodeURIComponent(model.name)}`) })),
    ...(users.data?.pages ?? []).flatMap(({ items }) => items).map((user): Command => ({ id: `user-${user.id}`, group: "users", label: user.email ? `${user.name} ${user.email}` : user.name, icon: User, run: go(`/dashboard/users?id=${user.id}`) })),
    ...(plans.data ?? []).map((plan): Command => ({ id: `plan-${plan.name}`, group: "plans", label: plan.name, icon: Layers, run: go(`/dashboard/overview?scope=${encodeURIComponent(`plan:${plan.name}`)}`) })),
  ];
}

"use client";

import { type ColumnDef, createColumnHelper } from "@tanstack/react-table";
import { Ban, CircleCheck, Link2, LogOut, Pencil } from "lucide-react";
import Link from "next/link";
import { useMemo } from "react";

import { ActionMenu, type MenuAction } from "@/components/ui/action-menu";
import { DataTable } from "@/components/ui/data-table";
import type { User } from "@/features/users/use-users";
import { grantText } from "@/lib/grants";
import { useFormat, useMessages } from "@/lib/language";
import type { Messages } from "@/messages/en";

export type TaskKind = "edit" | "link" | "sign-out" | "suspend" | "activate";

export interface UserTask {
  kind: TaskKind;
  user: User;
}

/** The actions of a user, in a menu or as buttons. A service user has no password, but sessions of its keys. */
export function userActions(user: User, t: Messages, onTask: (task: UserTask) => void): MenuAction[] {
  const of = (kind: TaskKind) => () => onTask({ kind, user });
  const state: MenuAction = user.status === "suspended"
    ? { name: t.users.activate, icon: CircleCheck, onSelect: of("activate") }
    : { name: t.users.suspend, icon: Ban, isDangerous: true, onSelect: of("suspend") };
  const link: MenuAction[] = user.email ? [{ name: t.users.passwordLink, icon: Link2, onSelect: of("link") }] : [];
  return [{ name: t.users.edit, icon: Pencil, onSelect: of("edit") }, ...link, { name: t.users.signOut, icon: LogOut, onSelect: of("sign-out") }, state];
}

export function UserStatusMark({ user }: { user: User }) {
  const t = useMessages();
  if (user.status === "suspended") return <span className="tag bad">{t.users.suspended}</span>;
  return (
    <span className="st">
      <i className="dot ok" />
      {t.users.active}
    </span>
  );
}

interface UserTableProps {
  users: User[];
  openId: string;
  onOpen(id: string): void;
  onTask(task: UserTask): void;
}

const column = createColumnHelper<User>();

export function UserTable({ users, openId, onOpen, onTask }: UserTableProps) {
  const t = useMessages();
  const format = useFormat();
  const columns = useMemo((): ColumnDef<User>[] => [
    column.display({
      id: "user",
      header: t.users.user,
      meta: { className: "grow" },
      cell: ({ row: { original } }) => (
        <span title={original.email ?? original.name}>
          <span className="med"><bdi>{original.name}</bdi></span>
          <span className="sub"><bdi>{original.email ?? t.users.service}</bdi></span>
        </span>
      ),
    }),
    column.display({ id: "status", header: t.users.status, meta: { className: "x4" }, cell: ({ row: { original } }) => <UserStatusMark user={original} /> }),
    column.display({
      id: "role",
      header: t.users.role,
      meta: { className: "x3" },
      cell: ({ row: { original } }) => {
        const role = original.role === "admin" ? "admin" : "member";
        return (
          <span className="inline-flex gap-1">
            <span className={role === "admin" ? "tag acc" : "t2"}>{t.frame.roles[role]}</span>
            {original.grants?.map((grant) => <span key={grantText(grant)} className="tag">{grantText(grant)}</span>)}
          </span>
        );
      },
    }),
    column.display({ id: "plan", header: t.users.plan, meta: { className: "x3 t2 cut tight" }, cell: ({ row: { original } }) => original.plan }),
    column.display({
      id: "month",
      header: t.scope.month,
      meta: { className: "r x5" },
      cell: ({ row: { original } }) => original.month && <Link className="hover:underline" title={t.scope.showUsage(original.name)} href={`/dashboard/overview?scope=user:${original.id}`}>{format.total(original.month.cost)}</Link>,
    }),
    column.display({
      id: "used",
      header: t.scope.lastUse,
      meta: { className: "x2 t2" },
      cell: ({ row: { original } }) => (original.last_used_at ? <span title={format.moment(original.last_used_at)}>{format.day(original.last_used_at)}</span> : t.scope.never),
    }),
    column.display({
      id: "created",
      header: t.users.created,
      meta: { className: "x1 t2" },
      cell: ({ row: { original } }) => <span title={format.moment(original.created_at)}>{format.day(original.created_at)}</span>,
    }),
    column.display({
      id: "actions",
      header: () => <span className="vh">{t.users.actions}</span>,
      meta: { className: "r w-11" },
      cell: ({ row: { original } }) => <ActionMenu label={t.users.actionsFor(original.name)} actions={userActions(original, t, onTask)} />,
    }),
  ], [t, format, onTask]);
  return (
    <DataTable
      label={t.frame.users}
      rows={users}
      columns={columns}
      rowHeight={52}
      rowId={({ id }) => id}
      rowClass={({ status }) => (status === "suspended" ? "off" : "")}
      onOpen={({ id }) => onOpen(id)}
      openId={openId}
    />
  );
}

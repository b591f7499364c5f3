"use client";

import { clsx } from "clsx";
import { Mail, UserPlus } from "lucide-react";
import dynamic from "next/dynamic";
import Link from "next/link";
import { useDeferredValue, useMemo, useState } from "react";

import { Button, buttonClass } from "@/components/ui/button";
import { MoreButton } from "@/components/ui/more-button";
import { SearchField } from "@/components/ui/search-field";
import { Segments } from "@/components/ui/tabs";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { AdminShell } from "@/features/frame/admin-shell";
import { INVITATIONS, InviteList } from "@/features/users/invite-list";
import type { IssuedLink } from "@/features/users/link-dialog";
import { UserTable, type UserTask } from "@/features/users/user-table";
import { type User, useUserByEmail, useUsers } from "@/features/users/use-users";
import { useFormat, useMessages } from "@/lib/language";
import { useLater } from "@/lib/later";
import { useSite } from "@/lib/queries";
import { useUrlState } from "@/lib/url-state";

const forms = () => import("@/features/users/user-dialogs");
const links = () => import("@/features/users/link-dialog");
const drawers = () => import("@/features/users/user-drawer");
const later = () => Promise.all([forms(), links(), drawers()]);
const CreateUserDialog = dynamic(() => forms().then((module) => module.CreateUserDialog));
const InviteDialog = dynamic(() => forms().then((module) => module.InviteDialog));
const UserTaskDialog = dynamic(() => forms().then((module) => module.UserTaskDialog));
const LinkDialog = dynamic(() => links().then((module) => module.LinkDialog));
const UserDrawer = dynamic(() => drawers().then((module) => module.UserDrawer));

const SHOWS = ["", "active", "suspended", "invites"] as const;

/** Who may use this gateway. */
export function UsersPage() {
  const t = useMessages();
  const { get, set } = useUrlState();
  const [task, setTask] = useState<UserTask>();
  const [link, setLink] = useState<IssuedLink>();
  useLater(later);
  const isClosed = useSite().data?.signup === "closed";
  const actions = (
    <>
      {isClosed ? (
        <Link className={clsx(buttonClass({}), "hide")} href={INVITATIONS} title={t.users.invitationsOff}>
          <Mail className="i" aria-hidden />
          {t.users.allowInvitations}
        </Link>
      ) : (
        <Button className="hide" onClick={() => set({ new: "invite" })}>
          <Mail className="i" aria-hidden />
          {t.users.invite}
        </Button>
      )}
      <Button look="primary" onClick={() => set({ new: "user" })}>
        <UserPlus className="i" aria-hidden />
        {t.users.create}
      </Button>
    </>
  );
  const onLink = (issued: IssuedLink) => {
    setTask(undefined);
    setLink(issued);
    set({ new: "" });
  };
  const form = { onLink, onClose: () => set({ new: "" }) };
  const open = get("id");
  return (
    <AdminShell page="users" actions={actions}>
      <UserList openId={open} onTask={setTask} />
      {open !== "" && <UserDrawer key={open} id={open} onTask={setTask} onClose={() => set({ id: "" })} />}
      {get("new") === "user" && !link && <CreateUserDialog {...form} />}
      {get("new") === "invite" && !link && !isClosed && <InviteDialog {...form} />}
      {task && <UserTaskDialog key={task.kind + task.user.id} task={task} onLink={onLink} onClose={() => setTask(undefined)} />}
      {link && <LinkDialog link={link} onDone={() => setLink(undefined)} />}
    </AdminShell>
  );
}

/** The users whose name or address contains the text; an exact address is looked up on the server too. */
export function matching(users: readonly User[], text: string, exact: User | null | undefined): User[] {
  const words = text.trim().toLowerCase();
  if (words === "") return [...users];
  const found = users.filter(({ name, email }) => name.toLowerCase().includes(words) || (email ?? "").toLowerCase().includes(words));
  const isMissing = exact && !found.some(({ id }) => id === exact.id);
  return isMissing ? [...found, exact] : found;
}

function UserList({ openId, onTask }: { openId: string; onTask(task: UserTask): void }) {
  const t = useMessages();
  const format = useFormat();
  const { get, set } = useUrlState();
  const show = SHOWS.find((name) => name === get("show")) ?? "";
  const isInvites = show === "invites";
  const text = get("q");
  const searched = useDeferredValue(text);
  const users = useUsers(isInvites ? "" : show);
  const exact = useUserByEmail(searched.trim()).data;
  const loaded = useMemo(() => (users.data?.pages ?? []).flatMap((page) => page.items), [users.data]);
  const shown = useMemo(() => {
    const fits = exact && (show === "" || exact.status === show) ? exact : undefined;
    return matching(loaded, searched, fits);
  }, [loaded, searched, exact, show]);
  const names = { "": t.users.all, active: t.users.active, suspended: t.users.suspended, invites: t.users.invitations };
  return (
    <section className="panel" aria-label={t.frame.users}>
      <div className="ph flex-wrap">
        {!isInvites && <SearchField label={t.users.search} value={text} onChange={(q) => set({ q })} />}
        <Segments label={t.users.status} value={show} onChange={(name) => set({ show: name })} options={SHOWS.map((name) => ({ name, label: names[name] }))} />
      </div>
      {isInvites && <InviteList onInvite={() => set({ new: "invite" })} />}
      {!isInvites && users.isError && !users.data && <Failure error={users.error} onRetry={() => void users.refetch()} />}
      {!isInvites && users.isPending && <SkeletonRows rows={6} height={52} />}
      {!isInvites && users.data && shown.length === 0 && (
        <Empty title={t.users.none} action={<Button onClick={() => set({ q: "", show: "" })}>{t.keys.clear}</Button>}>
          {users.hasNextPage ? t.users.noneLoaded(format.count(loaded.length)) : undefined}
        </Empty>
      )}
      {!isInvites && shown.length > 0 && <UserTable users={shown} openId={openId} onOpen={(id) => set({ id })} onTask={onTask} />}
      {!isInvites && users.data && (
        <div className="pf">
          <span className="num nowrap">{t.users.count(format.count(shown.length))}</span>
          {users.hasNextPage && (
            <MoreButton list={users} className="push">{t.users.more}</MoreButton>
          )}
        </div>
      )}
    </section>
  );
}

"use client";

import { type ColumnDef, createColumnHelper } from "@tanstack/react-table";
import Link from "next/link";
import { useMemo, useState } from "react";

import { Button, buttonClass } from "@/components/ui/button";
import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { DataTable } from "@/components/ui/data-table";
import { MoreButton } from "@/components/ui/more-button";
import { Note } from "@/components/ui/note";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { type Invite, useInvites, useUserChanges } from "@/features/users/use-users";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";
import { useSite } from "@/lib/queries";

/** The setting that turns invitations on. */
export const INVITATIONS = "/dashboard/configuration?view=edit&set=signup";

const column = createColumnHelper<Invite>();

/** The invitations that can still be used. */
export function InviteList({ onInvite }: { onInvite(): void }) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const invites = useInvites();
  const isClosed = useSite().data?.signup === "closed";
  const { revokeInvite } = useUserChanges();
  const [revoking, setRevoking] = useState<Invite>();
  const rows = useMemo(() => (invites.data?.pages ?? []).flatMap((page) => page.items), [invites.data]);
  const columns = useMemo((): ColumnDef<Invite>[] => [
    column.display({
      id: "email",
      header: t.users.for,
      meta: { className: "grow" },
      cell: ({ row: { original } }) => original.email ? <bdi className="med" title={original.email}>{original.email}</bdi> : <span className="t2">{t.users.anybody}</span>,
    }),
    column.display({ id: "plan", header: t.users.plan, meta: { className: "x3 t2" }, cell: ({ row: { original } }) => original.plan ?? t.users.defaultPlan }),
    column.display({
      id: "created",
      header: t.users.created,
      meta: { className: "x2 t2" },
      cell: ({ row: { original } }) => <span title={format.moment(original.created_at)}>{format.ago(original.created_at, now)}</span>,
    }),
    column.display({
      id: "expires",
      header: t.users.expiresIn,
      meta: { className: "x4 t2 num" },
      cell: ({ row: { original } }) => <span title={format.moment(original.expires_at)}>{format.left(original.expires_at, now)}</span>,
    }),
    column.display({
      id: "actions",
      header: () => <span className="vh">{t.users.actions}</span>,
      meta: { className: "r" },
      cell: ({ row: { original } }) => <Button size="small" look="danger" onClick={() => setRevoking(original)}>{t.users.revokeInvite}</Button>,
    }),
  ], [t, format, now]);
  if (invites.isError && !invites.data) return <Failure error={invites.error} onRetry={() => void invites.refetch()} />;
  if (invites.isPending) return <SkeletonRows rows={4} height={52} />;
  const create = isClosed
    ? <Link className={buttonClass({ look: "primary" })} href={INVITATIONS}>{t.users.allowInvitations}</Link>
    : <Button look="primary" onClick={onInvite}>{t.users.invite}</Button>;
  return (
    <>
      {rows.length > 0 && isClosed && <div className="pb"><Note tone="warn" title={t.users.invitationsOff}><Link className="link" href={INVITATIONS}>{t.users.allowInvitations}</Link></Note></div>}
      {rows.length === 0 ? (
        <Empty title={t.users.noInvites} action={create}>{isClosed ? t.users.invitationsOff : t.users.noInvitesText}</Empty>
      ) : (
        <DataTable label={t.users.invitations} rows={rows} columns={columns} rowHeight={52} rowId={({ id }) => id} />
      )}
      {rows.length > 0 && !isClosed && (
        <div className="pf">
          <Button size="small" onClick={onInvite}>{t.users.invite}</Button>
        </div>
      )}
      {invites.hasNextPage && (
        <div className="pf">
          <MoreButton list={invites}>{t.users.moreInvites}</MoreButton>
        </div>
      )}
      {revoking && (
        <ConfirmDialog
          title={t.users.revokeInviteTitle(revoking.email ?? t.users.anybody)}
          text={t.users.revokeInviteText}
          action={t.users.revokeInvite}
          isBusy={revokeInvite.isPending}
          error={revokeInvite.error}
          onConfirm={() => revokeInvite.mutate(revoking.id, { onSuccess: () => setRevoking(undefined) })}
          onClose={() => setRevoking(undefined)}
        />
      )}
    </>
  );
}

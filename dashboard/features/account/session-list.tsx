"use client";

import { type ColumnDef, createColumnHelper } from "@tanstack/react-table";
import { useMemo, useState } from "react";

import { Button } from "@/components/ui/button";
import { DataTable } from "@/components/ui/data-table";
import { FailedNote } from "@/components/ui/failed-note";
import { MoreButton } from "@/components/ui/more-button";
import { Note } from "@/components/ui/note";
import { Failure, SkeletonRows } from "@/components/ui/states";
import { clientName } from "@/features/account/client-name";
import { useEndSession, useSessions } from "@/features/account/use-sessions";
import type { Schemas } from "@/lib/api";
import { type Format, NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";
import type { Messages } from "@/messages/en";

type Session = Schemas["SignIn"];

const column = createColumnHelper<Session>();

/** The caller's own sessions, each with a button that ends it. */
export function SessionList() {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const sessions = useSessions();
  const end = useEndSession();
  const [ended, setEnded] = useState<string>();
  const rows = useMemo(() => (sessions.data?.pages ?? []).flatMap((page) => page.items), [sessions.data]);
  const { mutate, isPending } = end;
  const columns = useMemo(() => {
    const onEnd = (session: Session, name: string) => mutate(session.id, { onSuccess: () => setEnded(name) });
    return columnsOf({ t, format, now, isPending, onEnd });
  }, [t, format, now, isPending, mutate]);
  return (
    <section className="panel" aria-labelledby="sessions">
      <div className="ph">
        <div>
          <h2 id="sessions">{t.account.sessions}</h2>
          <p className="t3 sm">{t.account.sessionsText}</p>
        </div>
      </div>
      {end.error && <div className="px-4 pb-4"><FailedNote title={t.account.endFailed} error={end.error} /></div>}
      {ended && !end.error && <div className="px-4 pb-4"><Note tone="ok" title={t.account.ended(ended)} /></div>}
      {sessions.isError && !sessions.data && <Failure error={sessions.error} onRetry={() => void sessions.refetch()} />}
      {sessions.isPending && <SkeletonRows rows={3} height={52} />}
      {rows.length > 0 && <DataTable label={t.account.sessions} rows={rows} columns={columns} rowHeight={52} rowId={({ id }) => id} />}
      {sessions.hasNextPage && (
        <div className="pf">
          <MoreButton list={sessions}>{t.account.more}</MoreButton>
        </div>
      )}
    </section>
  );
}

interface Words {
  t: Messages;
  format: Format;
  now: Date;
  isPending: boolean;
  onEnd(session: Session, name: string): void;
}

function columnsOf({ t, format, now, isPending, onEnd }: Words): ColumnDef<Session>[] {
  const nameOf = (session: Session): string => clientName(session.agent) ?? t.account.unknownClient;
  const moment = (at: string) => <span title={format.moment(at)}>{format.ago(at, now)}</span>;
  return [
    column.display({
      id: "client",
      header: t.account.client,
      meta: { className: "grow" },
      cell: ({ row: { original } }) => (
        <span title={original.agent ?? undefined}>
          <span className="med"><bdi>{nameOf(original)}</bdi></span>
          <span className="sub num">{original.address ?? NONE}</span>
        </span>
      ),
    }),
    column.display({
      id: "way",
      header: t.account.way,
      meta: { className: "x2 t2" },
      cell: ({ row: { original } }) => (original.key_id ? t.account.withKey : t.account.withPassword),
    }),
    column.display({ id: "started", header: t.account.started, meta: { className: "x1 t2" }, cell: ({ row: { original } }) => moment(original.created_at) }),
    column.display({ id: "seen", header: t.account.seen, meta: { className: "x3 t2" }, cell: ({ row: { original } }) => moment(original.seen_at) }),
    column.display({
      id: "expires",
      header: t.account.expires,
      meta: { className: "x2 t2" },
      cell: ({ row: { original } }) => <span title={format.moment(original.expires_at)}>{format.left(original.expires_at, now)}</span>,
    }),
    column.display({
      id: "actions",
      header: () => <span className="vh">{t.account.actions}</span>,
      meta: { className: "r" },
      cell: ({ row: { original } }) => original.current ? (
        <span className="tag acc">{t.account.here}</span>
      ) : (
        <Button size="small" look="danger" disabled={isPending} aria-label={t.account.endOf(nameOf(original))} onClick={() => onEnd(original, nameOf(original))}>
          {t.account.end}
        </Button>
      ),
    }),
  ];
}

"use client";

import { type ColumnDef, createColumnHelper } from "@tanstack/react-table";
import { useMemo } from "react";

import { Button } from "@/components/ui/button";
import { DataTable } from "@/components/ui/data-table";
import { MoreButton } from "@/components/ui/more-button";
import { SearchField } from "@/components/ui/search-field";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { AdminTag } from "@/features/keys/admin-tag";
import { hasEnded } from "@/features/keys/key-state";
import { ShortKey } from "@/features/keys/short-key";
import type { Schemas } from "@/lib/api";
import { api } from "@/lib/api";
import { type Format, NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import { type List, useList } from "@/lib/list";
import { useNow } from "@/lib/now";
import { useSettled } from "@/lib/settled";
import { useUrlState } from "@/lib/url-state";
import type { Messages } from "@/messages/en";

type ListedKey = Schemas["ListedApiKey"];

const PAGE = 100;
const STATES = ["active", "expired", "revoked", ""] as const;
const DAY_MS = 86_400_000;
/** The choices of days without a use; empty for all keys. */
const UNUSED = ["", "30", "90", "365"] as const;

interface Filters {
  state: (typeof STATES)[number];
  text: string;
  unusedDays: string;
}

/** The keys of all users, which the server filters, page by page. */
function useAllKeys({ state, text, unusedDays }: Filters): List<Schemas["ApiKeys"]> {
  return useList({
    queryKey: ["keys", "everybody", state, text, unusedDays],
    read: (cursor, signal) => {
      // Whole hours, so that the pages of a list have the same condition.
      const since = new Date(Math.floor((Date.now() - Number(unusedDays) * DAY_MS) / 3_600_000) * 3_600_000).toISOString();
      const query = { scope: "all", limit: PAGE, ...cursor, ...(state && { state }), ...(text && { text }), ...(unusedDays && { unused_since: since }) };
      return api("get", "/api/keys", { query, signal });
    },
  });
}

/** The keys of all users with their owner, last use and expiry, for admins. */
export function AllKeys() {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const { get, set } = useUrlState();
  const state = STATES.find((name) => name === get("state")) ?? "";
  const unusedDays = UNUSED.find((days) => days === get("unused")) ?? "";
  const text = get("q");
  const list = useAllKeys({ state, text: useSettled(text.trim()), unusedDays });
  const keys = useMemo(() => (list.data?.pages ?? []).flatMap((page) => page.items), [list.data]);
  const columns = useMemo(() => columnsOf(t, format, now), [t, format, now]);
  const isFiltered = state !== "" || text !== "" || unusedDays !== "";
  const clear = () => set({ state: "", q: "", unused: "" });
  return (
    <section className="panel" aria-label={t.keys.everybodys}>
      <div className="ph flex-wrap">
        <SearchField label={t.keys.filterAll} value={text} onChange={(q) => set({ q })} />
        <select className="in h-8 w-40 max-w-full" aria-label={t.keys.status} value={state} onChange={(event) => set({ state: event.target.value })}>
          <option value="">{t.keys.all}</option>
          <option value="active">{t.keys.active}</option>
          <option value="expired">{t.keys.expired}</option>
          <option value="revoked">{t.keys.revoked}</option>
        </select>
        <select className="in h-8 w-52 max-w-full" aria-label={t.keys.unused} value={unusedDays} onChange={(event) => set({ unused: event.target.value })}>
          {UNUSED.map((days) => <option key={days} value={days}>{days === "" ? t.keys.usedAnyTime : t.keys.unusedDays(format.count(Number(days)))}</option>)}
        </select>
      </div>
      {list.isError && !list.data && <Failure error={list.error} onRetry={() => void list.refetch()} />}
      {list.isPending && <SkeletonRows rows={8} height={52} />}
      {list.isPending && list.emptyPages > 0 && <p className="pf" role="status">{t.frame.searching(format.count(list.emptyPages))}</p>}
      {list.data && keys.length === 0 && list.hasNextPage && <Empty title={t.frame.noneSoFar} action={<MoreButton list={list}>{t.frame.searchOn}</MoreButton>} />}
      {list.data && keys.length === 0 && !list.hasNextPage && (
        <Empty title={isFiltered ? t.keys.noneFiltered : t.keys.none} action={isFiltered && <Button onClick={clear}>{t.keys.clear}</Button>} />
      )}
      {keys.length > 0 && (
        <DataTable
          label={t.keys.everybodys}
          rows={keys}
          columns={columns}
          rowHeight={52}
          rowId={({ id }) => id}
          rowClass={(key) => (hasEnded(key, now) ? "off" : "")}
          onOpen={({ id }) => set({ id })}
          openId={get("id")}
        />
      )}
      {keys.length > 0 && (
        <div className="pf">
          <span className="num nowrap">{t.keys.count(format.count(keys.length))}</span>
          {list.hasNextPage && <MoreButton list={list} className="push">{t.keys.older}</MoreButton>}
        </div>
      )}
    </section>
  );
}

const column = createColumnHelper<ListedKey>();

function columnsOf(t: Messages, format: Format, now: Date): ColumnDef<ListedKey>[] {
  return [
    column.display({
      id: "key",
      header: t.keys.key,
      meta: { className: "grow" },
      cell: ({ row: { original: key } }) => (
        <span title={key.label}>
          <span className="med"><bdi>{key.label}</bdi>{key.admin && <AdminTag />}</span>
          <ShortKey apiKey={key} className="sub" />
        </span>
      ),
    }),
    column.display({
      id: "owner",
      header: t.keys.user,
      meta: { className: "cut tight" },
      cell: ({ row: { original: { user } } }) => user ? <bdi title={user.email ?? user.name}>{user.name}</bdi> : NONE,
    }),
    column.display({
      id: "status",
      header: t.keys.status,
      meta: { className: "x3" },
      cell: ({ row: { original: key } }) => {
        if (key.revoked_at) return <span className="tag">{t.keys.revoked}</span>;
        return hasEnded(key, now) ? <span className="tag">{t.keys.expired}</span> : t.keys.active;
      },
    }),
    column.display({
      id: "used",
      header: t.keys.lastUsed,
      meta: { className: "x1 t2" },
      cell: ({ row: { original: key } }) => key.last_used_at ? <span title={format.moment(key.last_used_at)}>{format.ago(key.last_used_at, now)}</span> : t.keys.never,
    }),
    column.display({
      id: "expires",
      header: t.keys.expires,
      meta: { className: "x2 t2" },
      cell: ({ row: { original: key } }) => key.expires_at ? <span title={format.moment(key.expires_at)}>{format.day(key.expires_at)}</span> : t.keys.never,
    }),
  ];
}

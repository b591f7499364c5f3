"use client";

import { type ColumnDef, createColumnHelper } from "@tanstack/react-table";
import Link from "next/link";
import { useMemo } from "react";

import { DataTable } from "@/components/ui/data-table";
import { type Provider, type ProviderState, TONES, stateOf, successOf } from "@/features/providers/provider-state";
import { type Format, NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import { useNow } from "@/lib/now";
import type { Messages } from "@/messages/en";

interface Words {
  t: Messages;
  format: Format;
  now: Date;
}

const column = createColumnHelper<Provider>();

/** The configured providers with the health of the last hour and the credential that the reader's requests use. */
export function ProviderTable({ providers }: { providers: Provider[] }) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const columns = useMemo(() => columnsOf({ t, format, now }), [t, format, now]);
  return <DataTable label={t.providers.title} rows={providers} columns={columns} rowHeight={52} rowId={({ name }) => name} />;
}

function columnsOf(words: Words): ColumnDef<Provider>[] {
  const { t, format, now } = words;
  return [
    column.display({
      id: "provider",
      header: t.providers.provider,
      meta: { className: "grow" },
      cell: ({ row: { original } }) => (
        <span title={original.host ?? undefined}>
          <span className="med">{original.name}</span>
          <span className="sub">{original.host ?? original.kind}</span>
        </span>
      ),
    }),
    column.display({ id: "state", header: t.providers.state, meta: { className: "end" }, cell: ({ row: { original } }) => <StateTag state={stateOf(original)} t={t} /> }),
    column.display({
      id: "succeeded",
      header: t.providers.succeeded,
      meta: { className: "r x3" },
      cell: ({ row: { original } }) => <Succeeded provider={original} words={words} />,
    }),
    column.display({
      id: "success",
      header: t.providers.lastSuccess,
      meta: { className: "x2 t2" },
      cell: ({ row: { original: { health } } }) => <When at={health.last_success_at} words={words} />,
    }),
    column.display({
      id: "failure",
      header: t.providers.lastFailure,
      meta: { className: "x1 t2" },
      cell: ({ row: { original: { health } } }) => {
        if (!health.last_failure_at) return NONE;
        return <span title={format.moment(health.last_failure_at)}>{failureText(health.last_failure_status, format.ago(health.last_failure_at, now), t)}</span>;
      },
    }),
    column.display({
      id: "credential",
      header: t.providers.credential,
      meta: { className: "x2 t2" },
      cell: ({ row: { original } }) => <InUse provider={original} t={t} />,
    }),
    column.display({
      id: "models",
      header: () => <span className="vh">{t.providers.models}</span>,
      meta: { className: "r x4" },
      cell: ({ row: { original: { name } } }) => (
        <Link className="link sm" href={`/dashboard/models?provider=${encodeURIComponent(name)}`} aria-label={t.providers.showModels(name)}>
          {t.providers.models}
        </Link>
      ),
    }),
  ];
}

/** The newest failure in words. With a status of success, the response began and was not complete. */
export function failureText(status: number | null | undefined, ago: string, t: Messages): string {
  if (!status) return t.providers.noResponse(ago);
  return status < 400 ? t.providers.incomplete(ago) : t.providers.failureStatus(status, ago);
}

function StateTag({ state, t }: { state: ProviderState; t: Messages }) {
  return <span className={`tag ${TONES[state]}`}>{t.providers.states[state]}</span>;
}

function Succeeded({ provider, words: { t, format } }: { provider: Provider; words: Words }) {
  const share = successOf(provider);
  if (share === undefined) return <span className="t3">{NONE}</span>;
  const requests = format.count(provider.health.requests);
  return (
    <span title={t.providers.shareOf(format.percent(share, 2), requests)}>
      {format.percent(share, 1)}
      <span className="sub">{`${format.count(provider.health.requests - provider.health.failures)} / ${requests}`}</span>
    </span>
  );
}

function When({ at, words: { format, now } }: { at: string | null | undefined; words: Words }) {
  return at ? <span title={format.moment(at)}>{format.ago(at, now)}</span> : <>{NONE}</>;
}

/** The source of the credential, with the last characters of the one that requests use where the reader may know them. */
function InUse({ provider: { credential }, t }: { provider: Provider; t: Messages }) {
  const { own, shared, configured, state } = credential;
  const last4 = state === "own" ? own[0]?.last4 : state === "shared" ? (configured?.last4 ?? shared?.[0]?.last4) : undefined;
  return (
    <>
      {t.providers.inUse[credential.state]}
      {last4 && <span className="mono t3"> …{last4}</span>}
    </>
  );
}

"use client";

import { type ColumnDef, createColumnHelper } from "@tanstack/react-table";
import { clsx } from "clsx";
import { KeyRound, Pencil, Trash2 } from "lucide-react";
import { useMemo } from "react";

import { ActionMenu, type MenuAction } from "@/components/ui/action-menu";
import { Button } from "@/components/ui/button";
import { DataTable } from "@/components/ui/data-table";
import type { Credential } from "@/features/providers/use-providers";
import type { CredentialTest } from "@/features/providers/use-tests";
import { type Format, NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import type { Messages } from "@/messages/en";

export interface CredentialTask {
  kind: "replace" | "rename" | "remove";
  credential: Credential;
}

interface CredentialTableProps {
  credentials: Credential[];
  tests: ReadonlyMap<string, CredentialTest>;
  onTest(id: string): void;
  onTask(task: CredentialTask): void;
}

const column = createColumnHelper<Credential>();

/** A credential's name, as messages and labels of controls use it. */
export function nameOf({ provider, label }: Credential): string {
  return `${provider} “${label}”`;
}

/** Credentials of the vault; the menu changes one, the button tests it. */
export function CredentialTable({ credentials, tests, onTest, onTask }: CredentialTableProps) {
  const t = useMessages();
  const format = useFormat();
  const columns = useMemo(() => columnsOf({ t, format, tests, onTest, onTask }), [t, format, tests, onTest, onTask]);
  return <DataTable label={t.providers.credentials} rows={credentials} columns={columns} rowHeight={52} rowId={({ id }) => id} />;
}

interface Words extends Omit<CredentialTableProps, "credentials"> {
  t: Messages;
  format: Format;
}

function columnsOf({ t, format, tests, onTest, onTask }: Words): ColumnDef<Credential>[] {
  return [
    column.display({
      id: "credential",
      header: t.providers.credential,
      meta: { className: "grow" },
      cell: ({ row: { original } }) => (
        <span title={original.label}>
          <span className="med">{original.provider}</span> <bdi className="t2">{original.label}</bdi>
          <span className="sub mono">…{original.last4}</span>
          {tests.has(original.id) && (
            <span className="sub m4">
              <TestResult test={tests.get(original.id)} t={t} format={format} />
            </span>
          )}
        </span>
      ),
    }),
    column.display({
      id: "users",
      header: t.providers.usedBy,
      meta: { className: "x2 t2" },
      cell: ({ row: { original } }) => (original.shared ? t.providers.shared : t.providers.own),
    }),
    column.display({
      id: "test",
      header: t.providers.lastTest,
      meta: { className: "x4" },
      cell: ({ row: { original } }) => <TestResult test={tests.get(original.id)} t={t} format={format} />,
    }),
    column.display({
      id: "updated",
      header: t.providers.updated,
      meta: { className: "x1 t2" },
      cell: ({ row: { original } }) => <span title={format.moment(original.updated_at)}>{format.day(original.updated_at)}</span>,
    }),
    column.display({
      id: "actions",
      header: () => <span className="vh">{t.providers.actions}</span>,
      meta: { className: "r w-28" },
      cell: ({ row: { original } }) => (
        <span className="row justify-end gap-1.5">
          <Button size="small" disabled={tests.get(original.id)?.state === "running"} aria-label={t.providers.testOf(nameOf(original))} onClick={() => onTest(original.id)}>
            {t.providers.test}
          </Button>
          <Actions credential={original} onTask={onTask} />
        </span>
      ),
    }),
  ];
}

function TestResult({ test, t, format }: { test: CredentialTest | undefined; t: Messages; format: Format }) {
  if (!test) return <span className="t3" title={t.providers.notTested}>{NONE}</span>;
  if (test.state === "running") return <span className="t3" role="status">{t.providers.testing}</span>;
  if (test.state === "failed") return <Outcome text={test.error.message} />;
  const { ok, status, latency_ms: latency, message } = test.result;
  if (ok) return <Outcome ok text={t.providers.accepted(format.duration(Math.max(1, latency)))} />;
  return <Outcome text={`${status ? t.providers.failedTest(status) : ""}${message}`} />;
}

function Outcome({ text, ok = false }: { text: string; ok?: boolean }) {
  return (
    <span className={clsx("st", ok ? "t2" : "bad")} role="status">
      <i className={clsx("dot", ok ? "ok" : "bad")} />
      <span className="trunc max-w-[280px]" title={text}>
        {text}
      </span>
    </span>
  );
}

/** The menu of a credential. */
function Actions({ credential, onTask }: { credential: Credential; onTask(task: CredentialTask): void }) {
  const t = useMessages();
  const task = (kind: CredentialTask["kind"]) => () => onTask({ kind, credential });
  const actions: MenuAction[] = [
    { name: t.providers.replace, icon: KeyRound, onSelect: task("replace") },
    { name: t.providers.rename, icon: Pencil, onSelect: task("rename") },
    { name: t.providers.remove, icon: Trash2, isDangerous: true, onSelect: task("remove") },
  ];
  return <ActionMenu label={t.providers.actionsFor(nameOf(credential))} actions={actions} />;
}

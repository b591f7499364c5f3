"use client";

import { useState } from "react";

import { Button } from "@/components/ui/button";
import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { Dialog } from "@/components/ui/dialog";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { DiffView } from "@/features/configuration/diff-view";
import { ProblemList } from "@/features/configuration/problem-list";
import { problemsOf } from "@/features/configuration/problems";
import { type Configuration, type ConfigurationEntry, useConfigurationChanges, useConfigurationEntry, useConfigurationHistory } from "@/features/configuration/use-configuration";
import { useUser } from "@/features/users/use-users";
import { useFormat, useMessages } from "@/lib/language";

/** The configurations that were applied last. */
export function HistoryView({ running }: { running: Configuration }) {
  const t = useMessages();
  const history = useConfigurationHistory();
  const [opened, setOpened] = useState<ConfigurationEntry>();
  const [rolledBack, setRolledBack] = useState<ConfigurationEntry>();
  return (
    <>
      {history.isError && !history.data && <Failure error={history.error} onRetry={() => void history.refetch()} />}
      {history.isPending && <SkeletonRows rows={6} />}
      {history.data?.length === 0 && <Empty title={t.configuration.none}>{t.configuration.noneText}</Empty>}
      {history.data && history.data.length > 0 && (
        <>
          <div className="tw">
            <table className="tbl" aria-label={t.configuration.views.history}>
              <thead>
                <tr>
                  <th>{t.configuration.number}</th>
                  <th className="grow">{t.configuration.applied}</th>
                  <th className="x2">{t.configuration.source}</th>
                  <th className="x3">{t.configuration.by}</th>
                  <th className="r"><span className="vh">{t.users.actions}</span></th>
                </tr>
              </thead>
              <tbody>
                {history.data.map((entry) => (
                  <EntryRow key={entry.id} entry={entry} onOpen={() => setOpened(entry)} onRollBack={() => setRolledBack(entry)} />
                ))}
              </tbody>
            </table>
          </div>
          <div className="pf"><span>{t.configuration.kept}</span></div>
        </>
      )}
      {opened && <EntryDialog entry={opened} running={running} onClose={() => setOpened(undefined)} />}
      {rolledBack && <RollbackDialog entry={rolledBack} running={running} onClose={() => setRolledBack(undefined)} />}
    </>
  );
}

function EntryRow({ entry, onOpen, onRollBack }: { entry: ConfigurationEntry; onOpen(): void; onRollBack(): void }) {
  const t = useMessages();
  const format = useFormat();
  const number = format.count(entry.number);
  return (
    <tr>
      <td className="num">
        {number}
        {entry.is_running && <span className="tag ok ml-2">{t.configuration.inForce}</span>}
      </td>
      <td className="grow">
        <span title={format.moment(entry.applied_at)}>{format.dayMonth(entry.applied_at)}, {format.clock(entry.applied_at)}</span>
        <span className="sub m-only"><Author entry={entry} /></span>
      </td>
      <td className="x2 t2">{t.configuration.kinds[entry.source] ?? entry.source}</td>
      <td className="x3 t2"><Author entry={entry} /></td>
      <td className="r">
        {entry.has_text ? (
          <span className="row justify-end">
            <Button size="small" className="x4" aria-label={`${t.configuration.open}: ${number}`} onClick={onOpen}>{t.configuration.open}</Button>
            <Button size="small" aria-label={`${t.configuration.rollback}: ${number}`} disabled={entry.is_running} onClick={onRollBack}>{t.configuration.rollback}</Button>
          </span>
        ) : (
          <span className="t3" title={t.configuration.noTextHint}>{t.configuration.noText}</span>
        )}
      </td>
    </tr>
  );
}

function Author({ entry }: { entry: ConfigurationEntry }) {
  const t = useMessages();
  return entry.user_id ? <UserName id={entry.user_id} /> : <>{t.configuration.system}</>;
}

function UserName({ id }: { id: string }) {
  return <bdi>{useUser(id).data?.name ?? id.slice(0, 8)}</bdi>;
}

/** The differences of the running configuration and an entry. */
function EntryDiff({ entry, running }: { entry: ConfigurationEntry; running: Configuration }) {
  const t = useMessages();
  const format = useFormat();
  const stored = useConfigurationEntry(entry.id);
  if (stored.isPending) return <SkeletonRows rows={4} />;
  if (stored.isError) return <Failure error={stored.error} onRetry={() => void stored.refetch()} />;
  return <DiffView label={t.configuration.diffHistory(format.count(entry.number))} before={running.yaml} after={stored.data.yaml ?? ""} />;
}

function EntryDialog({ entry, running, onClose }: { entry: ConfigurationEntry; running: Configuration; onClose(): void }) {
  const t = useMessages();
  const format = useFormat();
  return (
    <Dialog title={t.configuration.diffHistory(format.count(entry.number))} onClose={onClose}>
      <EntryDiff entry={entry} running={running} />
    </Dialog>
  );
}

function RollbackDialog({ entry, running, onClose }: { entry: ConfigurationEntry; running: Configuration; onClose(): void }) {
  const t = useMessages();
  const format = useFormat();
  const { rollBack } = useConfigurationChanges();
  const problems = problemsOf(rollBack.error);
  return (
    <ConfirmDialog
      title={t.configuration.rollbackTitle(format.count(entry.number))}
      text={t.configuration.rollbackText}
      action={t.configuration.rollback}
      look="primary"
      isBusy={rollBack.isPending}
      error={problems.length > 0 ? undefined : rollBack.error}
      onConfirm={() => rollBack.mutate({ value: entry.id, digest: running.digest }, { onSuccess: onClose })}
      onClose={onClose}
    >
      {problems.length > 0 && <ProblemList problems={problems} onGoTo={() => undefined} />}
      <EntryDiff entry={entry} running={running} />
    </ConfirmDialog>
  );
}

"use client";

import { CircleAlert, Plus, RefreshCw } from "lucide-react";
import dynamic from "next/dynamic";
import Link from "next/link";
import { useCallback, useState } from "react";

import { Button, buttonClass } from "@/components/ui/button";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { Shell } from "@/features/frame/shell";
import { type CredentialTask, CredentialTable } from "@/features/providers/credential-table";
import { type Provider, isOff, stateOf, usedCredential, withoutCredential } from "@/features/providers/provider-state";
import { ProviderTable } from "@/features/providers/provider-table";
import { TargetPanel } from "@/features/providers/target-panel";
import { type Credential, useCredentials, useIsAdmin, useProviders } from "@/features/providers/use-providers";
import { useTests } from "@/features/providers/use-tests";
import { useFormat, useMessages } from "@/lib/language";
import { useLater } from "@/lib/later";
import { useNow } from "@/lib/now";
import { useUrlState } from "@/lib/url-state";

const forms = () => import("@/features/providers/credential-forms");
const AddCredential = dynamic(() => forms().then((module) => module.AddCredential));
const ReplaceSecret = dynamic(() => forms().then((module) => module.ReplaceSecret));
const RenameCredential = dynamic(() => forms().then((module) => module.RenameCredential));
const DeleteCredential = dynamic(() => forms().then((module) => module.DeleteCredential));

/** Which providers work, and the credentials for them. */
export function ProvidersPage() {
  const t = useMessages();
  const { get, set } = useUrlState();
  const providers = useProviders();
  const credentials = useCredentials();
  const isAdmin = useIsAdmin();
  const tests = useTests();
  useLater(forms);
  const [task, setTask] = useState<CredentialTask>();
  const list = providers.data?.items ?? [];
  const adding = get("add");
  const add = useCallback((provider: string) => set({ add: provider === "" ? "1" : provider }), [set]);
  const { run } = tests;
  const stored = (credential: Credential) => {
    setTask(undefined);
    set({ add: "" });
    run([credential.id]);
  };
  const close = () => setTask(undefined);
  const actions = (
    <Button look="primary" disabled={list.length === 0} aria-label={t.providers.add} onClick={() => add("")}>
      <Plus className="i" aria-hidden />
      <span className="max-md:hidden">{t.providers.add}</span>
    </Button>
  );
  return (
    <Shell page="providers" actions={actions}>
      {withoutCredential(list).map((provider) => (
        <Problem key={provider.name} provider={provider} credentials={credentials.data ?? []} onAdd={add} onTask={setTask} />
      ))}
      <ProviderPanel />
      <TargetPanel providers={list} />
      <CredentialPanel tests={tests} onAdd={() => add("")} onTask={setTask} />
      {adding !== "" && list.length > 0 && (
        <AddCredential providers={list.map(({ name }) => name)} provider={adding} mayShare={isAdmin} onClose={() => set({ add: "" })} onStored={stored} />
      )}
      {task?.kind === "replace" && <ReplaceSecret credential={task.credential} onClose={close} onStored={stored} />}
      {task?.kind === "rename" && <RenameCredential credential={task.credential} onClose={close} />}
      {task?.kind === "remove" && <DeleteCredential credential={task.credential} isLast={isLast(task.credential, credentials.data ?? [])} onClose={close} />}
    </Shell>
  );
}

function isLast(credential: Credential, all: readonly Credential[]): boolean {
  return all.filter(({ provider }) => provider === credential.provider).length <= 1;
}

function ProviderPanel() {
  const t = useMessages();
  const providers = useProviders();
  const { data } = providers;
  const shown = data?.items.filter((provider) => !isOff(provider));
  return (
    <section className="panel" aria-labelledby="providers">
      <div className="ph">
        <h2 id="providers">{t.providers.title}</h2>
        <span className="t3 sm push">{t.providers.period}</span>
      </div>
      {providers.isError && !data && <Failure error={providers.error} onRetry={() => void providers.refetch()} />}
      {providers.isPending && <SkeletonRows rows={3} height={52} />}
      {shown?.length === 0 && <Empty title={t.providers.none}>{data?.items.length === 0 ? t.providers.noneText : t.providers.offeredText}</Empty>}
      {shown && shown.length > 0 && <ProviderTable providers={shown} />}
    </section>
  );
}

interface CredentialPanelProps {
  tests: ReturnType<typeof useTests>;
  onAdd(): void;
  onTask(task: CredentialTask): void;
}

function CredentialPanel({ tests, onAdd, onTask }: CredentialPanelProps) {
  const t = useMessages();
  const credentials = useCredentials();
  const { data } = credentials;
  const { run } = tests;
  const test = useCallback((id: string) => run([id]), [run]);
  return (
    <section className="panel" aria-labelledby="credentials">
      <div className="ph flex-wrap">
        <h2 id="credentials">{t.providers.credentials}</h2>
        <span className="t3 sm">{t.providers.encrypted}</span>
        {data && data.length > 1 && (
          <Button size="small" className="push" disabled={tests.isRunning} onClick={() => run(data.map(({ id }) => id))}>
            <RefreshCw className="i s" aria-hidden />
            {t.providers.testAll}
          </Button>
        )}
      </div>
      {credentials.isError && !data && <Failure error={credentials.error} onRetry={() => void credentials.refetch()} />}
      {credentials.isPending && <SkeletonRows rows={3} height={52} />}
      {data?.length === 0 && (
        <Empty title={t.providers.noCredentials} action={<Button onClick={onAdd}>{t.providers.add}</Button>}>
          {t.providers.noCredentialsText}
        </Empty>
      )}
      {data && data.length > 0 && <CredentialTable credentials={data} tests={tests.results} onTest={test} onTask={onTask} />}
    </section>
  );
}

interface ProblemProps {
  provider: Provider;
  credentials: readonly Credential[];
  onAdd(provider: string): void;
  onTask(task: CredentialTask): void;
}

/** A provider that a credential would repair, with the one button that does so. */
function Problem({ provider, credentials, onAdd, onTask }: ProblemProps) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const { name, health } = provider;
  const isMissing = stateOf(provider) === "missing";
  const usedId = usedCredential(provider);
  const used = credentials.find(({ id }) => id === usedId);
  const isConfigured = provider.credential.state === "shared" && provider.credential.configured?.source === "configuration";
  const refused = isConfigured ? t.providers.refusedConfigured : t.providers.refusedText;
  const text = isMissing ? t.providers.missingText : refused(health.last_failure_status ?? 401, format.ago(health.last_failure_at ?? now, now));
  return (
    <div className={isMissing ? "note-b warn" : "note-b bad"} role="alert">
      <CircleAlert className="i" aria-hidden />
      <div className="row wrap gap-x-4 gap-y-2">
        <div className="min-w-[220px] flex-1">
          <b className="med">{isMissing ? t.providers.missingTitle(name) : t.providers.refusedTitle(name)}</b>
          <p className="t2">{text}</p>
        </div>
        {isConfigured ? (
          <Link className={buttonClass({})} href="/dashboard/configuration">{t.frame.configuration}</Link>
        ) : (
          <Button onClick={() => (used ? onTask({ kind: "replace", credential: used }) : onAdd(name))}>{used ? t.providers.replace : t.providers.add}</Button>
        )}
      </div>
    </div>
  );
}

"use client";

import { Plus, Search } from "lucide-react";
import dynamic from "next/dynamic";
import { useMemo, useState } from "react";

import { Button } from "@/components/ui/button";
import { SearchField } from "@/components/ui/search-field";
import { Segments } from "@/components/ui/tabs";
import { Empty, Failure, SkeletonRows } from "@/components/ui/states";
import { Shell } from "@/features/frame/shell";
import { AllKeys } from "@/features/keys/all-keys";
import type { KeyTask } from "@/features/keys/key-actions";
import { hasEnded } from "@/features/keys/key-state";
import { KeyTable } from "@/features/keys/key-table";
import { useKeys } from "@/features/keys/use-keys";
import type { Schemas } from "@/lib/api";
import { useFormat, useMessages } from "@/lib/language";
import { useLater } from "@/lib/later";
import { useNow } from "@/lib/now";
import { useMe, useOverview } from "@/lib/queries";
import { useUrlState } from "@/lib/url-state";

const create = () => import("@/features/keys/create-dialog");
const edit = () => import("@/features/keys/edit-dialog");
const tasks = () => import("@/features/keys/task-dialogs");
const secret = () => import("@/features/keys/secret-dialog");
const drawer = () => import("@/features/keys/key-drawer");
const find = () => import("@/features/keys/find-dialog");
const dialogs = () => Promise.all([create(), edit(), tasks(), secret(), drawer(), find()]);
const KeyDrawer = dynamic(() => drawer().then((module) => module.KeyDrawer));
const FindDialog = dynamic(() => find().then((module) => module.FindDialog));
const CreateDialog = dynamic(() => create().then((module) => module.CreateDialog));
const EditDialog = dynamic(() => edit().then((module) => module.EditDialog));
const RotateDialog = dynamic(() => tasks().then((module) => module.RotateDialog));
const RevokeDialog = dynamic(() => tasks().then((module) => module.RevokeDialog));
const SecretDialog = dynamic(() => secret().then((module) => module.SecretDialog));

type Filter = "in-use" | "ended" | "all";
const FILTERS: readonly Filter[] = ["in-use", "ended", "all"];

interface Secret {
  created: Schemas["ApiKeyWithSecret"];
  isRotation: boolean;
  problem?: string | undefined;
}

/** Filter and text of the list, and whether the form is open; all of them are in the URL. */
function useListState() {
  const { get, set } = useUrlState();
  const filter = FILTERS.find((name) => name === get("show")) ?? "in-use";
  return { filter, text: get("q"), isCreating: get("create") !== "", id: get("id"), user: get("user"), isFinding: get("find") !== "", isOfAll: get("all") !== "", set };
}

export function KeysPage() {
  const t = useMessages();
  const { isCreating, isFinding, isOfAll, id, user, set } = useListState();
  const me = useMe();
  const isAdmin = me.data?.acts_as === "admin";
  const [task, setTask] = useState<KeyTask>();
  useLater(dialogs);
  const [secret, setSecret] = useState<Secret>();
  const create = (
    <Button look="primary" onClick={() => set({ create: "1" })}>
      <Plus className="i" aria-hidden />
      {t.keys.create}
    </Button>
  );
  const findLeaked = (
    <Button className="min-w-11" aria-label={t.keys.find} onClick={() => set({ find: "1" })}>
      <Search className="i" aria-hidden />
      <span className="hide">{t.keys.find}</span>
    </Button>
  );
  const closeTask = () => setTask(undefined);
  return (
    <Shell page="keys" actions={<>{isAdmin && findLeaked}{create}</>}>
      {isAdmin && (
        <div className="row mb-4">
          <Segments
            label={t.keys.whose}
            value={isOfAll ? "all" : "mine"}
            onChange={(name) => set({ all: name === "all" ? "1" : "", q: "", show: "", state: "", unused: "" })}
            options={[{ name: "mine", label: t.keys.mine }, { name: "all", label: t.keys.everybodys }]}
          />
        </div>
      )}
      {me.isPending ? <SkeletonRows rows={4} height={52} /> : isAdmin && isOfAll ? <AllKeys /> : <KeyList onTask={setTask} onCreate={() => set({ create: "1" })} />}
      {isCreating && !secret && (
        <CreateDialog
          userId={user || undefined}
          onClose={() => set({ create: "", user: "" })}
          onCreated={(created, problem) => {
            setSecret({ created, isRotation: false, problem });
            set({ create: "", user: "" });
          }}
        />
      )}
      {task?.kind === "edit" && <EditDialog apiKey={task.key} onClose={closeTask} />}
      {isFinding && !task && <FindDialog onRevoke={(key) => setTask({ kind: "revoke", key, isLeaked: true })} onOpen={(found) => set({ find: "", id: found })} onClose={() => set({ find: "" })} />}
      {id !== "" && !task && !secret && <KeyDrawer id={id} onTask={setTask} onClose={() => set({ id: "" })} />}
      {task?.kind === "revoke" && (
        <RevokeDialog
          apiKey={task.key}
          isLeaked={task.isLeaked ?? false}
          onClose={closeTask}
          onRevoked={() => {
            closeTask();
            // A revoked key needs no further search.
            if (task.isLeaked) set({ find: "" });
          }}
        />
      )}
      {task?.kind === "rotate" && (
        <RotateDialog
          apiKey={task.key}
          onClose={closeTask}
          onRotated={(created) => {
            closeTask();
            setSecret({ created, isRotation: true });
          }}
        />
      )}
      {secret && <SecretDialog {...secret} onDone={() => setSecret(undefined)} />}
    </Shell>
  );
}

function KeyList({ onTask, onCreate }: { onTask(task: KeyTask): void; onCreate(): void }) {
  const t = useMessages();
  const format = useFormat();
  const now = useNow();
  const keys = useKeys();
  const overview = useOverview();
  const { filter, text, id, set } = useListState();
  const use = useMemo(() => new Map((overview.data?.keys ?? []).map((key) => [key.id, key])), [overview.data]);
  const groups = useMemo(() => {
    const all = keys.data ?? [];
    return { all, "in-use": all.filter((key) => !hasEnded(key, now)), ended: all.filter((key) => hasEnded(key, now)) };
  }, [keys.data, now]);
  const shown = useMemo(() => {
    const words = text.trim().toLowerCase();
    return groups[filter].filter((key) => words === "" || key.label.toLowerCase().includes(words) || key.last4.includes(words));
  }, [groups, filter, text]);
  if (keys.isError && !keys.data) {
    return (
      <section className="panel">
        <Failure error={keys.error} onRetry={() => void keys.refetch()} />
      </section>
    );
  }
  if (keys.data?.length === 0) {
    return (
      <section className="panel">
        <Empty title={t.keys.none} action={<Button look="primary" onClick={onCreate}>{t.keys.create}</Button>}>
          {t.keys.noneText}
        </Empty>
      </section>
    );
  }
  const names = { "in-use": t.keys.inUse, ended: t.keys.ended, all: t.keys.all };
  return (
    <section className="panel" aria-label={t.frame.keys}>
      <div className="ph flex-wrap">
        <SearchField label={t.keys.filter} value={text} onChange={(q) => set({ q })} />
        <Segments
          label={t.keys.statuses}
          value={filter}
          onChange={(name) => set({ show: name === "in-use" ? "" : name })}
          options={FILTERS.map((name) => ({ name, label: <>{names[name]} <span className="t3 num">{keys.data ? groups[name].length : ""}</span></> }))}
        />
      </div>
      {!keys.data && <SkeletonRows rows={6} height={52} />}
      {keys.data && shown.length === 0 && (
        <Empty title={t.keys.noneFiltered} action={<Button onClick={() => set({ q: "", show: "all" })}>{t.keys.clear}</Button>} />
      )}
      {shown.length > 0 && <KeyTable keys={shown} use={use} onTask={onTask} onOpen={(open) => set({ id: open })} openId={id} />}
      {shown.length > 0 && (
        <div className="pf">
          <span className="num">{t.keys.count(format.count(shown.length))}</span>
        </div>
      )}
    </section>
  );
}

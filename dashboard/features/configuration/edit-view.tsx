"use client";

import { useRef, useState } from "react";

import { Button } from "@/components/ui/button";
import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { FailedNote } from "@/components/ui/failed-note";
import { Note } from "@/components/ui/note";
import { ChangesTable } from "@/features/configuration/changes-table";
import { DiffView } from "@/features/configuration/diff-view";
import type { Draft } from "@/features/configuration/draft";
import { ProblemList } from "@/features/configuration/problem-list";
import { problemsOf } from "@/features/configuration/problems";
import { type EditorHandle, TextEditor } from "@/features/configuration/text-editor";
import { WantedSetting } from "@/features/configuration/wanted-setting";
import { type Configuration, useConfiguration, useConfigurationChanges } from "@/features/configuration/use-configuration";
import { ApiError } from "@/lib/api";
import { useFormat, useMessages } from "@/lib/language";
import { useUrlState } from "@/lib/url-state";

interface EditViewProps {
  running: Configuration;
  draft: Draft | undefined;
  onDraft(draft: Draft | undefined): void;
}

/** The editor of a new configuration: validate, compare, apply. */
export function EditView({ running, draft, onDraft }: EditViewProps) {
  const t = useMessages();
  const format = useFormat();
  const editor = useRef<EditorHandle>(null);
  const { validate, apply } = useConfigurationChanges();
  const latest = useConfiguration();
  const wanted = useUrlState().get("set");
  const [isCompared, setCompared] = useState(false);
  const [asks, setAsks] = useState<"apply" | "discard">();
  const text = draft?.text ?? running.yaml;
  const base = draft?.base ?? running.digest;
  const refused = apply.error ?? validate.error;
  const problems = problemsOf(refused);
  const isConflict = apply.error instanceof ApiError && apply.error.code === "conflict";
  const isStale = draft !== undefined && base !== running.digest;
  const forget = () => {
    validate.reset();
    apply.reset();
  };
  const change = (next: string) => {
    forget();
    onDraft({ text: next, base });
  };
  const compareNew = async () => {
    const { data } = await latest.refetch();
    if (!data) return;
    forget();
    onDraft({ text, base: data.digest });
    setCompared(true);
  };
  const send = () => {
    validate.reset();
    apply.mutate({ value: text, digest: base }, { onSuccess: () => onDraft(undefined), onSettled: () => setAsks(undefined) });
  };
  return (
    <div className="pb stack">
      {(isConflict || isStale) && (
        <Note tone="warn" title={isConflict ? t.configuration.conflict : t.configuration.stale}>
          <p>{t.configuration.conflictText}</p>
          <Button size="small" className="mt-2" onClick={() => void compareNew()}>{t.configuration.compareNew}</Button>
        </Note>
      )}
      {!apply.data && <WantedSetting name={wanted} text={text} onText={change} />}
      {text.includes("***") && <Note tone="warn" title={t.configuration.masked} />}
      <TextEditor
        label={t.configuration.editor}
        hint={t.configuration.editorHint}
        text={text}
        marked={problems.flatMap(({ line }) => (line === null ? [] : [line]))}
        onChange={change}
        handle={editor}
      />
      <div className="row wrap">
        <Button disabled={validate.isPending} onClick={() => { apply.reset(); validate.mutate(text); }}>
          {validate.isPending ? t.configuration.validating : t.configuration.validate}
        </Button>
        <Button aria-expanded={isCompared} onClick={() => setCompared(!isCompared)}>{isCompared ? t.configuration.hideDiff : t.configuration.compare}</Button>
        {draft && <Button look="ghost" onClick={() => setAsks("discard")}>{t.configuration.discard}</Button>}
        <Button look="primary" className="push" disabled={apply.isPending} onClick={() => setAsks("apply")}>{t.configuration.apply}</Button>
      </div>
      {problems.length > 0 && <ProblemList problems={problems} onGoTo={(line, column) => editor.current?.goTo(line, column)} />}
      {refused && problems.length === 0 && !isConflict && <FailedNote title={apply.error ? t.configuration.notApplied : t.configuration.notValidated} error={refused} />}
      {apply.data && <Note tone="ok" title={t.configuration.appliedNow}>{t.configuration.appliedText(format.count(apply.data.changes.length + apply.data.more))}</Note>}
      {validate.data && (
        <>
          <Note tone="ok" title={t.configuration.valid}>
            {validate.data.changes.length === 0 ? t.configuration.noChanges : t.configuration.changes(format.count(validate.data.changes.length + validate.data.more))}
          </Note>
          <ChangesTable changes={validate.data} />
        </>
      )}
      {isCompared && (
        <div className="stack">
          <h3>{t.configuration.diff}</h3>
          <DiffView label={t.configuration.diff} before={running.yaml} after={text} />
        </div>
      )}
      {asks === "apply" && (
        <ConfirmDialog
          title={t.configuration.applyTitle}
          text={t.configuration.applyText}
          action={t.configuration.apply}
          look="primary"
          isBusy={apply.isPending}
          error={undefined}
          onConfirm={send}
          onClose={() => setAsks(undefined)}
        >
          <DiffView label={t.configuration.diff} before={running.yaml} after={text} />
        </ConfirmDialog>
      )}
      {asks === "discard" && (
        <ConfirmDialog
          title={t.configuration.discardTitle}
          text={t.configuration.discardText}
          action={t.configuration.discard}
          isBusy={false}
          error={undefined}
          onConfirm={() => {
            forget();
            onDraft(undefined);
            setAsks(undefined);
          }}
          onClose={() => setAsks(undefined)}
        >
          {null}
        </ConfirmDialog>
      )}
    </div>
  );
}

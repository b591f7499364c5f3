"use client";

import { Square, Trash2 } from "lucide-react";
import { type KeyboardEvent, useId, useState } from "react";

import { Button } from "@/components/ui/button";
import { CopyButton } from "@/components/ui/copy-button";
import { Note } from "@/components/ui/note";
import { Empty } from "@/components/ui/states";
import { type Tab, Tabs } from "@/components/ui/tabs";
import type { Call } from "@/features/playground/call";
import { snippetsOf } from "@/features/playground/code";
import { wordsOf } from "@/features/playground/problem";
import type { Run } from "@/features/playground/use-run";
import { useFormat, useMessages } from "@/lib/language";

const VIEWS = ["response", "code", "events"] as const;
type View = (typeof VIEWS)[number];

interface ConversationProps {
  run: Run;
  call: Call;
  error: string | undefined;
  place: { base: string; variable: string };
  onChange(change: Partial<Call>): void;
  onSend(): void;
  onStop(): void;
  onClear(): void;
}

/** The message, the response as it arrives, the call as code, and the events of the stream. */
export function Conversation({ run, call, error, place, onChange, onSend, onStop, onClear }: ConversationProps) {
  const t = useMessages();
  const [view, setView] = useState<View>("response");
  const isRunning = run.state === "waiting" || run.state === "streaming";
  const keys = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) onSend();
    if (event.key === "Escape" && isRunning) onStop();
  };
  const clear = (
    <Button look="ghost" size="small" className="push" disabled={run.state === "idle"} onClick={onClear}>
      <Trash2 className="i s" aria-hidden />
      {t.playground.clear}
    </Button>
  );
  return (
    <section className="panel talk" aria-label={t.playground.conversation} onKeyDown={keys}>
      <div className="talk-views">
        <Tabs label={t.playground.view} tabs={VIEWS.map((name): Tab<View> => ({ name, label: t.playground.views[name] }))} value={view} onChange={(name) => setView(name)} listClass="ph line-b" tabsClass="seg" trailing={clear}>
          {view === "response" && <Response run={run} />}
          {view === "code" && <Code call={call} place={place} />}
          {view === "events" && <Events run={run} />}
        </Tabs>
      </div>
      <Composer call={call} error={error} isRunning={isRunning} onChange={onChange} onSend={onSend} onStop={onStop} />
    </section>
  );
}

function Response({ run }: { run: Run }) {
  const t = useMessages();
  if (run.state === "idle" || !run.call) return <Empty title={t.playground.start}>{t.playground.startText}</Empty>;
  const isRunning = run.state === "waiting" || run.state === "streaming";
  return (
    <div className="msgs">
      <article>
        <h3>{t.playground.you}</h3>
        <p className="prose" dir="auto">{run.call.user}</p>
      </article>
      <article className="as">
        <h3 className="mono">{run.call.model}</h3>
        {run.reasoning !== "" && (
          <details className="think" open={run.text === ""}>
            <summary>{t.playground.reasoning}</summary>
            <p className="prose t2" dir="auto">{run.reasoning}</p>
          </details>
        )}
        {run.state === "waiting" && <p className="t3">{t.playground.waiting}</p>}
        {/* Each word announced alone would drown a screen reader; the whole text is announced at the end. */}
        <p className="prose" dir="auto" aria-live="polite" aria-busy={isRunning}>
          {run.text}
          {isRunning && <i className="caret" aria-hidden />}
        </p>
        {run.state === "done" && run.text === "" && <p className="t3">{t.playground.emptyText}</p>}
        <Problem run={run} />
      </article>
    </div>
  );
}

function Problem({ run: { problem, requestId } }: { run: Run }) {
  const t = useMessages();
  if (!problem) return null;
  const { title, text } = wordsOf(problem, t);
  const isOwn = problem.code === "network" || problem.code === "cut";
  return (
    <Note tone="bad" title={title}>
      <p dir="auto">{text}</p>
      {!isOwn && problem.code !== "" && <p className="t3 sm mt-2">{t.playground.refused(problem.code)}</p>}
      {requestId && <p className="t3 sm">{t.playground.requestId} <code className="mono">{requestId}</code></p>}
    </Note>
  );
}

function Code({ call, place }: { call: Call; place: { base: string; variable: string } }) {
  const t = useMessages();
  const [chosen, setChosen] = useState("curl");
  const all = snippetsOf(call, place);
  const shown = all.find(({ client }) => client === chosen) ?? all[0];
  if (!shown) return null;
  return (
    <div className="grid gap-2 p-4">
      <div className="code">
        <Tabs label={t.landing.client} tabs={all.map(({ client, label }) => ({ name: client, label }))} value={shown.client} onChange={setChosen} listClass="ch" trailing={<CopyButton text={shown.text} what={shown.label} withWord />}>
          <pre tabIndex={0} aria-label={shown.label}>{shown.text}</pre>
        </Tabs>
      </div>
      <p className="hint">{t.playground.codeNote}</p>
    </div>
  );
}

function Events({ run }: { run: Run }) {
  const t = useMessages();
  const format = useFormat();
  if (run.events.length === 0) return <p className="t3 md p-4">{t.playground.noEvents}</p>;
  const left = (run.events[0]?.number ?? 1) - 1;
  return (
    <div className="grid gap-2 p-4">
      {left > 0 && <p className="hint">{t.playground.eventsLeft(format.count(left))}</p>}
      <div className="code">
        <pre className="events" tabIndex={0} aria-label={t.playground.views.events}>
          {run.events.map(({ number, atMs, data }) => (
            <span key={number}>
              <span className="c">{`+${format.duration(atMs)}`.padEnd(10)}</span> {data}
              {"\n"}
            </span>
          ))}
        </pre>
      </div>
    </div>
  );
}

interface ComposerProps {
  call: Call;
  error: string | undefined;
  isRunning: boolean;
  onChange(change: Partial<Call>): void;
  onSend(): void;
  onStop(): void;
}

function Composer({ call, error, isRunning, onChange, onSend, onStop }: ComposerProps) {
  const t = useMessages();
  const id = useId();
  return (
    <div className="cmp">
      <textarea
        className="in"
        rows={3}
        dir="auto"
        aria-label={t.playground.message}
        placeholder={t.playground.messagePlaceholder}
        value={call.user}
        aria-invalid={error !== undefined}
        aria-describedby={error === undefined ? undefined : id}
        onChange={(event) => onChange({ user: event.target.value })}
      />
      {error !== undefined && <span id={id} className="hint bad">{error}</span>}
      <div className="row">
        <span className="hint hide2">
          <kbd className="kbd">Ctrl Enter</kbd> {t.playground.hint} · <kbd className="kbd">Esc</kbd> {t.playground.hintStop}
        </span>
        {isRunning ? (
          <Button className="push" onClick={onStop}>
            <Square className="i" aria-hidden />
            {t.playground.stop}
          </Button>
        ) : (
          <Button look="primary" className="push" onClick={onSend}>
            {t.playground.send}
          </Button>
        )}
      </div>
    </div>
  );
}

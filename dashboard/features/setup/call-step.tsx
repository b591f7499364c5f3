"use client";

import Link from "next/link";

import { buttonClass } from "@/components/ui/button";
import { CopyButton } from "@/components/ui/copy-button";
import { Note } from "@/components/ui/note";
import { CodeTabs } from "@/features/landing/code-tabs";
import { Barrier } from "@/features/setup/barrier";
import { type Example, succeeded } from "@/features/setup/setup-state";
import type { Schemas } from "@/lib/api";
import { NONE } from "@/lib/format";
import { useFormat, useMessages } from "@/lib/language";
import { useSite } from "@/lib/queries";

interface CallStepProps {
  /** The secret of the key, if this page created it. */
  secret: string | undefined;
  example: Example | undefined;
  requests: readonly Schemas["RequestLine"][];
}

/** Snippets for the first call, and a panel that shows it as soon as it arrives. */
export function CallStep({ secret, example, requests }: CallStepProps) {
  const t = useMessages();
  const site = useSite().data;
  const llm = site?.llm;
  const first = requests.findLast(succeeded);
  const failed = first ? undefined : requests[0];
  const variable = llm ? `export ${llm.key_variable}='${secret ?? ""}'` : "";
  return (
    <>
      {secret && (
        <div className="grid gap-2">
          <div className="secret">
            <code data-testid="secret">{secret}</code>
            <CopyButton text={secret} what={t.keys.secret} look="primary" withWord />
          </div>
          <p className="hint">{t.keys.createdText}</p>
        </div>
      )}
      {!first && (
        <>
          <p className="t2 md max-w-[62ch]">{secret ? t.setup.callText : t.setup.callTextOld}</p>
          {secret && llm && (
            <div className="code">
              <div className="ch">
                <span className="px-2.5 text-xs font-medium text-text-2">{t.setup.exportKey}</span>
                <CopyButton text={variable} what={t.setup.exportKey} withWord />
              </div>
              <pre tabIndex={0} aria-label={t.setup.exportKey}>{variable}</pre>
            </div>
          )}
          {site && !llm ? <Note tone="warn" title={t.setup.noLlm}>{t.setup.noLlmText}</Note> : <CodeTabs example={example} />}
        </>
      )}
      {failed && <Note tone="warn" title={t.setup.failedTitle(failed.status)}>{failed.refusal?.message ?? t.setup.failedText}</Note>}
      <div className="panel lis" data-state={first ? "open" : "closed"}>
        <div className="gt">
          <Barrier />
        </div>
        <div aria-live="polite">{first ? <Arrived request={first} /> : <Waiting />}</div>
      </div>
    </>
  );
}

function Waiting() {
  const t = useMessages();
  const base = useSite().data?.llm?.base_url.replace(/^https?:\/\//, "");
  return (
    <>
      <span className="key">
        <i className="dot live" />
        <b className="semi text-text">{t.setup.waiting}</b>
      </span>
      <p className="t2 md mt-1">{t.setup.waitingText(base ?? NONE)}</p>
      <div className="row wrap mt-2.5">
        <Link className={buttonClass({})} href="/dashboard/overview">{t.setup.skip}</Link>
      </div>
    </>
  );
}

function Arrived({ request }: { request: Schemas["RequestLine"] }) {
  const t = useMessages();
  const format = useFormat();
  const what = request.model ?? request.route ?? NONE;
  const tokens = request.tokens ? t.setup.tokens(format.count(request.tokens.total)) : undefined;
  const facts = [tokens, request.cost ? format.exact(request.cost) : undefined].filter((fact) => fact !== undefined).join(", ");
  return (
    <>
      <span className="st">
        <i className="dot ok" />
        <b className="semi">{t.setup.arrived}</b>
      </span>
      <p className="t2 md num mt-1">{t.setup.arrivedText(what, String(request.status), facts)}</p>
      <div className="row wrap mt-2.5">
        <Link className={buttonClass({ look: "primary" })} href="/dashboard/overview">{t.frame.toOverview}</Link>
        <Link className={buttonClass({})} href={`/dashboard/usage?id=${request.id}`}>{t.setup.showRequest}</Link>
        {request.model && (
          <Link className={buttonClass({})} href={`/dashboard/playground?model=${encodeURIComponent(request.model)}`}>{t.setup.toPlayground}</Link>
        )}
      </div>
    </>
  );
}

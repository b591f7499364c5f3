"use client";

import type { ReactNode } from "react";

import { CopyButton } from "@/components/ui/copy-button";
import { PublicFrame } from "@/features/frame/public-frame";
import { CodeTabs } from "@/features/landing/code-tabs";
import { MANUAL } from "@/features/landing/manual";
import { install } from "@/features/landing/snippets";
import { useMessages } from "@/lib/language";
import { useSite } from "@/lib/queries";

/** The documentation for people who call the gateway: key, calls, agents, errors, limits. */
export function Guide() {
  const t = useMessages();
  const site = useSite();
  const parts: [string, string, ReactNode][] = [
    ["start", t.docs.start, <p key="p">{t.docs.startText}</p>],
    ["key", t.docs.key, <Key key="p" />],
    ["call", t.docs.call, <Call key="p" />],
    ["agents", t.docs.agents, <Agents key="p" />],
    ["demo", t.docs.demo, <p key="p">{t.docs.demoText}</p>],
    ["errors", t.docs.errors, <Errors key="p" />],
    ["limits", t.docs.limits, <p key="p">{t.docs.limitsText}</p>],
    ["api", t.docs.api, <Api key="p" />],
    ["documents", t.docs.documents, <Documents key="p" />],
  ];
  const shown = site.data && !site.data.llm ? parts.filter(([id]) => id !== "call" && id !== "agents") : parts;
  return (
    <PublicFrame title={t.docs.title}>
      <div className="cw doc">
        <nav aria-label={t.docs.title}>
          <div>
            {shown.map(([id, title]) => (
              <a key={id} href={`#${id}`}>
                {title}
              </a>
            ))}
          </div>
        </nav>
        <article>
          <h1>{t.docs.title}</h1>
          {shown.map(([id, title, content]) => (
            <section key={id} className="stack" aria-labelledby={id}>
              <h2 id={id}>{title}</h2>
              {content}
            </section>
          ))}
        </article>
      </div>
    </PublicFrame>
  );
}

function Key() {
  const t = useMessages();
  return (
    <>
      <ol className="steps">
        {t.docs.keySteps.map((step) => (
          <li key={step}>{step}</li>
        ))}
      </ol>
      <p>{t.docs.keyLimits}</p>
    </>
  );
}

function Call() {
  const t = useMessages();
  return (
    <>
      <p>{t.docs.callText}</p>
      <CodeTabs />
    </>
  );
}

function Agents() {
  const t = useMessages();
  const site = useSite();
  const agents = [["Codex CLI", "codex"], ["Claude Code", "claude"]] as const;
  return (
    <>
      <p>{t.docs.agentsText}</p>
      {site.data &&
        agents.map(([name, agent]) => (
          <div className="code" key={agent}>
            <div className="ch">
              <span className="px-2.5 text-xs font-medium text-text-2">{name}</span>
              <CopyButton text={install(site.data, agent)} what={name} withWord />
            </div>
            <pre tabIndex={0} aria-label={name}>{install(site.data, agent)}</pre>
          </div>
        ))}
    </>
  );
}

function Errors() {
  const t = useMessages();
  return (
    <>
      <p>{t.docs.errorsText}</p>
      <div className="panel">
        <ul className="list">
          {t.docs.errorCodes.map(([code, text]) => (
            <li key={code}>
              <div className="body">
                <b>
                  <code className="mono">{code}</code>
                </b>
                <span>{text}</span>
              </div>
            </li>
          ))}
        </ul>
      </div>
    </>
  );
}

/** Links to the documents in the binary, which are in English. */
function Documents() {
  const t = useMessages();
  return (
    <>
      <p>{t.docs.documentsText}</p>
      {MANUAL.map(([group, pages]) => (
        <div className="stack" key={group} lang="en">
          <h3>{group}</h3>
          <ul className="pages">
            {pages.map(([slug, title]) => (
              <li key={slug}>
                <a className="link" href={`/docs/${slug}`}>
                  {title}
                </a>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </>
  );
}

function Api() {
  const t = useMessages();
  return (
    <p>
      {t.docs.apiText}{" "}
      <a className="link" href="/docs/api">
        {t.docs.apiLink}
      </a>
    </p>
  );
}

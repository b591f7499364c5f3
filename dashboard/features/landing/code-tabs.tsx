"use client";

import { useState } from "react";

import { CopyButton } from "@/components/ui/copy-button";
import { type Tab, Tabs } from "@/components/ui/tabs";
import { type Client, type Snippet, snippets } from "@/features/landing/snippets";
import { useMessages } from "@/lib/language";
import { useSite } from "@/lib/queries";

/** Snippets for each client, with a button that copies the shown one. `example` replaces the call of the site. */
export function CodeTabs({ example }: { example?: { url: string; body: string } | undefined }) {
  const t = useMessages();
  const site = useSite();
  const [chosen, setChosen] = useState<Client>();
  const llm = site.data?.llm && example ? { ...site.data.llm, example_url: example.url, example_body: example.body } : site.data?.llm;
  const all = site.data ? snippets({ ...site.data, llm: llm ?? null }, t.landing) : [];
  const shown = all.find((snippet) => snippet.client === chosen) ?? all[0];
  if (site.data && !shown) return null;
  if (!shown) return <div className="code h-[183px]" aria-busy />;
  return (
    <div className="code">
      <Tabs
        label={t.landing.client}
        tabs={all.map((snippet): Tab<Client> => ({ name: snippet.client, label: snippet.label }))}
        value={shown.client}
        onChange={(client) => setChosen(client)}
        listClass="ch"
        trailing={<CopyButton text={shown.text} what={shown.label} withWord />}
      >
        <Code snippet={shown} />
      </Tabs>
    </div>
  );
}

/** Comments and strings are set apart; a full highlighter would cost more than it explains. */
function Code({ snippet }: { snippet: Snippet }) {
  const parts = snippet.text.split(/(^#.*$|"[^"\n]*"|'[^']*')/m);
  return (
    <pre className="min-h-[146px]" tabIndex={0} aria-label={snippet.label}>
      {parts.map((part, at) => {
        if (part.startsWith("#")) return <span key={at} className="c">{part}</span>;
        return /^["']/.test(part) ? <span key={at} className="s">{part}</span> : part;
      })}
    </pre>
  );
}

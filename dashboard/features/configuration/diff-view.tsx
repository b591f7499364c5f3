"use client";

import { useMemo } from "react";

import { type DiffLine, diff, partsOf } from "@/features/configuration/text-diff";
import { useFormat, useMessages } from "@/lib/language";

/** The differences of two texts, with a few equal lines around each change. */
export function DiffView({ label, before, after }: { label: string; before: string; after: string }) {
  const t = useMessages();
  const format = useFormat();
  const parts = useMemo(() => partsOf(diff(before, after)), [before, after]);
  const isSame = parts.every((part) => "hidden" in part);
  if (isSame) return <p className="t2 md">{t.configuration.same}</p>;
  return (
    <div className="code scroll-box" tabIndex={0} role="region" aria-label={label}>
      <div className="diff">
        {parts.map((part, at) =>
          "hidden" in part ? (
            <div key={at} className="gap-l">{t.configuration.hidden(format.count(part.hidden))}</div>
          ) : (
            part.lines.map((line) => <Line key={`${line.kind}-${line.before ?? ""}-${line.after ?? ""}`} line={line} />)
          ),
        )}
      </div>
    </div>
  );
}

const SIGNS = { same: " ", removed: "−", added: "+" };

function Line({ line: { kind, text, before, after } }: { line: DiffLine }) {
  const t = useMessages();
  const word = kind === "same" ? "" : t.configuration[kind];
  return (
    <div className={kind === "same" ? undefined : kind}>
      <span className="ln-n" aria-hidden>{before ?? ""}</span>
      <span className="ln-n" aria-hidden>{after ?? ""}</span>
      <span className="sign">
        <span aria-hidden>{SIGNS[kind]}</span>
        {word !== "" && <span className="vh">{word}: </span>}
      </span>
      <code>{text}</code>
    </div>
  );
}
